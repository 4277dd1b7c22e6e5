import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cleanCaption } from '../../datasets/caption-text.ts';
import type { CaptionedPicture } from '../caption/caption-pictures.ts';
import { bestCaption } from '../caption/caption-stage.ts';
import { openCaptionStore } from '../caption/caption-store.ts';
import type { Environment } from '../config/paths.ts';
import { UserError } from '../errors.ts';

/** Lets a person change a text in their editor ($VISUAL, $EDITOR) and waits until it is closed. */
async function editText(text: string, env: Environment): Promise<string> {
  const editor = env['VISUAL'] ?? env['EDITOR'] ?? (process.platform === 'win32' ? 'notepad' : 'vi');
  const folder = await mkdtemp(join(tmpdir(), 'sana-caption-'));
  const path = join(folder, 'caption.txt');
  try {
    await writeFile(path, `${text}\n`);
    // By the shell, since an editor may have options: EDITOR="code --wait".
    const child = spawn(`${editor} "${path}"`, { shell: true, stdio: 'inherit' });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    if (code !== 0)
      throw new UserError(`The editor (${editor}) ended with code ${code}; set EDITOR to one that works.`);
    return cleanCaption(await readFile(path, 'utf8'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * Opens a caption of a picture in the editor, the best one or a captioner's, and keeps what becomes of it in
 * captions.jsonl, in place of what its captioner said.
 * @param chosen the picture's name, `01.png`, or `dog/01.png` where several data sets have one of that name; for a
 *   captioner's words in place of the best ones with its name behind: `01.png:brief`
 * @returns whether it was changed
 * @throws UserError when there is no such picture or caption
 */
export async function editCaption(
  chosen: string,
  pictures: readonly CaptionedPicture[],
  file: string,
  env: Environment = process.env,
): Promise<boolean> {
  const called = (name: string): readonly CaptionedPicture[] =>
    pictures.filter(({ example }) => example.id === name || example.picture.name === name);
  // Names of pictures may have colons too.
  const [, before = chosen, captioner] = (called(chosen).length === 0 && /^(.+):([^:]+)$/.exec(chosen)) || [];
  const name = called(before).length > 0 ? before : chosen;
  const found = called(name);
  const [picture] = found;
  if (picture === undefined || found.length > 1) {
    const some = (found.length > 1 ? found : pictures).slice(0, 5).map(({ example }) => example.id);
    const what = found.length > 1 ? 'Several pictures are' : 'No picture is';
    throw new UserError(`${what} called ${name}; name one such as ${some.join(', ')}.`);
  }
  const captions = picture.captions.filter(({ source }) => captioner === undefined || source === captioner);
  const best = bestCaption(captions);
  if (best === undefined && picture.captions.length > 0) {
    const sources = [...new Set(picture.captions.map(({ source }) => source))].join(', ');
    throw new UserError(`${name} has no caption by ${captioner ?? ''}; it has some by ${sources}.`);
  }
  if (best === undefined) throw new UserError(`${name} has no caption yet; see why above.`);
  const text = await editText(best.text, env);
  if (text === best.text) return false;
  if (text === '') throw new UserError('The caption is empty now; it was left as it was.');
  const store = await openCaptionStore(file);
  const {
    id,
    picture: { contentHash: hash },
  } = picture.example;
  await store.put([{ picture: id, hash, captioner: best.source, text, settings: { type: 'edited' }, edited: true }]);
  await store.close();
  return true;
}
