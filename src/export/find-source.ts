import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { loadConfig } from '../config/load-config.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { adapterFileName } from '../lora/adapter-file.ts';
import { listCheckpoints } from '../run/checkpoint.ts';

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
 * A run's adapter, the exported one or that of its last checkpoint; or an adapter by itself.
 * @throws UserError for a run without any
 */
export async function findExportSource(source: string): Promise<ExportSource> {
  const isFolder = (await stat(source).catch(() => undefined))?.isDirectory() === true;
  const names = isFolder ? await readdir(source) : [];
  const name = basename(resolve(source)).replace(/\.safetensors$/, '');
  if (!names.includes('config.yaml')) return { path: source, name };
  const { config } = await loadConfig(join(source, 'config.yaml'), { checkFiles: false });
  const exported = join(source, 'adapter', adapterFileName);
  if (await stat(exported).catch(() => undefined)) return { path: exported, name, config };
  const last = (await listCheckpoints(source)).at(-1);
  if (!last) throw new UserError(`${source} is a run without an adapter or checkpoint yet; train first.`);
  return { path: join(last.path, adapterFileName), name, config };
}
