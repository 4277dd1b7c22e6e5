import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll } from 'vitest';

import { UserError } from '../../../src/errors.ts';
import { loadConfig, type LoadConfigOptions, type LoadedConfig } from '../../../src/config/load-config.ts';

/** A folder for one test file: configs/ with config files, photos/, and a working directory beside them. */
export const folder = await mkdtemp(join(tmpdir(), 'sana-config-'));
export const cwd = join(folder, 'work');
await mkdir(join(folder, 'photos', 'more'), { recursive: true });
await mkdir(join(cwd, 'here'), { recursive: true });
afterAll(() => rm(folder, { recursive: true }));

/** Writes configs/test.yaml and loads it. */
export async function load(text: string, options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const path = join(folder, 'configs', 'test.yaml');
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return await loadConfig(path, { cwd, env: { HOME: '/home/ada' }, ...options });
}

/** The lines of the message with which a config is refused, paths without the folder. */
export async function problems(text: string, options: LoadConfigOptions = {}): Promise<readonly string[]> {
  try {
    await load(text, options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const lines = error.message.replaceAll(`${join(folder, 'configs')}/`, '').split('\n');
    return lines.length === 1 ? lines : lines.slice(1).map((line) => line.trim());
  }
  return [];
}

/** The shortest config there is. */
export const minimal = 'model: sana-pico\ndataset: ../photos\n';
