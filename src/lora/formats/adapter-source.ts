import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { UserError } from '../../errors.ts';
import { fileError } from '../../io/file-error.ts';
import { readJsonObject } from '../../io/json.ts';

/** Where an adapter lies. */
export interface AdapterSource {
  readonly path: string;
  /** peft's adapter_config.json beside it, parsed. */
  readonly peftConfig?: Readonly<Record<string, unknown>>;
}

/** The names of files that diffusers and peft look for in a folder. */
const fileNames = ['pytorch_lora_weights.safetensors', 'adapter_model.safetensors'];
const peftConfigName = 'adapter_config.json';

/**
 * Finds an adapter's file: the file itself, or the one in a folder that diffusers or peft wrote.
 * @throws UserError when there is none, or several and none of the usual name
 */
export async function findAdapter(path: string): Promise<AdapterSource> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  const folder = isFolder ? path : dirname(path);
  const names = await readdir(folder).catch((): string[] => []);
  const candidates = names.filter((name) => name.endsWith('.safetensors')).sort();
  const name = isFolder
    ? (fileNames.find((name) => candidates.includes(name)) ?? (candidates.length === 1 ? candidates[0] : undefined))
    : basename(path);
  if (name === undefined) {
    const pickled = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
    throw new UserError(
      candidates.length > 0
        ? `${path} holds several files (${candidates.slice(0, 5).join(', ')}); name one of them.`
        : `${path} holds no adapter${pickled === undefined ? '' : ` but ${pickled}, and pickled files are not read: they can run code`}; expected ${fileNames.join(' or ')}.`,
    );
  }
  const isPeft = name === 'adapter_model.safetensors' && names.includes(peftConfigName);
  return {
    path: join(folder, name),
    ...(isPeft && { peftConfig: await readJsonObject(join(folder, peftConfigName)) }),
  };
}
