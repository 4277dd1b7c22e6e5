import { readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';

import { exportFormats } from '../export/format-names.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { pushFiles, type PushOptions } from '../hub/push-files.ts';
import { exportFolder, runFileName } from './export-formats.ts';

/**
 * Pushes what a run wrote at its end (adapters, a merged model, the model card and its pictures, and nothing else of the
 * folder they are in) to owner/name on the Hugging Face hub. Gives the repository's address.
 *
 * @throws UserError when the run has written nothing yet, or it cannot be pushed
 */
export async function pushRun(
  config: Config,
  runDir: string,
  id: string,
  options: Omit<PushOptions, 'title'> = {},
): Promise<string> {
  const folder = exportFolder(config, runDir);
  const own = new Set<string>([
    'README.md',
    'samples',
    ...exportFormats.map((format) => runFileName(format, runDir, config.export.merged_layout)),
  ]);
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw fileError(error, 'read', folder);
  });
  const names = found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => own.has(name.split(sep, 1)[0] ?? ''))
    .sort();
  if (!names.some((name) => name.endsWith('.safetensors')))
    throw new UserError(`${folder} holds no adapter of the run yet; train to the end first.`);
  const files = names.map((name) => ({ path: join(folder, name), name: name.replaceAll(sep, '/') }));
  return await pushFiles(id, files, { ...options, title: `Add ${basename(runDir)}, trained with sana-train` });
}
