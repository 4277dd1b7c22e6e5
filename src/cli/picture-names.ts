import { constants } from 'node:fs';
import { access, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';

/** Where pictures go: one file, or a folder and what is in it. */
export type Output =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string; readonly existing: readonly string[] };

/**
 * Makes the folder of what `--out` names and checks that files can be written there, before time is spent.
 * @param out a .png file for one picture, or a folder
 * @throws UserError when it is a file for several pictures, or cannot be written
 */
export async function prepareOutput(out: string, pictures: number): Promise<Output> {
  const found = await stat(out).catch(() => undefined);
  const isFile = found ? !found.isDirectory() : /\.[a-z]+$/i.test(out);
  if (isFile && !/\.png$/i.test(out)) {
    throw new UserError(`--out is ${out}; name a .png file, or a folder.`);
  }
  if (isFile && pictures > 1) {
    throw new UserError(`--out is ${out}, one file, and there are ${pictures} pictures; name a folder.`);
  }
  const folder = isFile ? dirname(out) : out;
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return isFile ? { kind: 'file', path: out } : { kind: 'folder', path: out, existing: await readdir(folder) };
  } catch (error) {
    throw fileError(error, 'write to', folder);
  }
}

/**
 * The files of pictures in their order: in a folder `0001-a-photo-of-a-dog.png` and so on, counting on from the highest
 * number there, so that nothing is written over.
 */
export function pictureNames(output: Output, prompts: readonly string[]): readonly string[] {
  if (output.kind === 'file') return prompts.map(() => output.path);
  const numbers = output.existing.map((name) => Number(/^(\d+)-.*\.png$/i.exec(name)?.[1] ?? 0));
  const last = numbers.reduce((highest, number) => Math.max(highest, number), 0);
  return prompts.map((prompt, i) => {
    const words = prompt.toLowerCase().replaceAll(/[^\p{Letter}\p{Number}]+/gu, '-');
    const slug = words.slice(0, 40).replaceAll(/^-|-$/g, '') || 'picture';
    return join(output.path, `${String(last + 1 + i).padStart(4, '0')}-${slug}.png`);
  });
}
