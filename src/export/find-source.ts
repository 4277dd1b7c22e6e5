import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { loadConfig } from '../config/load-config.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { adapterFileName } from '../lora/adapter-file.ts';
import { averageFile, listCheckpoints } from '../run/checkpoint.ts';
import { exportFileName } from './file-names.ts';

/** What a user names to export: an adapter, and the run that made it. */
export interface ExportSource {
  /** The adapter's file or folder. */
  readonly path: string;
  /** What to call the adapter. */
  readonly name: string;
  /** The run's config. */
  readonly config?: Config;
}

/**
 * A run's adapter, the exported one or that of its last checkpoint (averaged where an average is kept); or an adapter by itself.
 * @throws UserError for a run without any
 */
export async function findExportSource(source: string): Promise<ExportSource> {
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() === true;
  const names = isFolder ? await readdir(source) : [];
  const name = basename(resolve(source)).replace(/\.safetensors$/, '');
  if (!names.includes('config.yaml')) return { path: source, name };
  const { config } = await loadConfig(join(source, 'config.yaml'), { checkFiles: false });
  const folder = config.export.output ?? join(source, 'adapter');
  for (const file of [adapterFileName, exportFileName('lycoris', name, 'diffusers')]) {
    if (await exists(join(folder, file))) return { path: join(folder, file), name, config };
  }
  const last = (await listCheckpoints(source)).at(-1);
  if (!last) throw new UserError(`${source} is a run without an adapter or checkpoint yet; train first.`);
  const average = join(last.path, averageFile);
  return { path: (await exists(average)) ? average : join(last.path, adapterFileName), name, config };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
