import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { loadConfig } from '../config/load-config.ts';
import { changesOnResume, type OptionChange } from '../config/resolved-config.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { listCheckpoints } from './checkpoint.ts';

/** Where a run goes on from. */
export interface ResumePoint {
  readonly step: number;
  /** The checkpoint's folder. */
  readonly path: string;
  /** What of the config is another than before, and may be. */
  readonly changes: readonly OptionChange[];
}

/**
 * Where to go on from: what --resume or the config says, after a look at how the config has changed since.
 * @throws UserError when the run was begun with a config that differs in more than may change
 */
export async function checkpointToResume(config: Config, resume: string): Promise<ResumePoint | undefined> {
  const runDir = config.run_dir;
  const checkpoints = await listCheckpoints(runDir);
  const newest = checkpoints.at(-1);
  if (resume === 'never') {
    if (newest)
      throw new UserError(
        `${runDir} holds a run already (to step ${newest.step}); choose another run_dir, delete it, or use --resume auto to go on.`,
      );
    return undefined;
  }
  let from = newest;
  if (resume !== 'auto') {
    const step = Number(/step-(\d+)[/\\]?$/.exec(resume)?.[1]);
    if (!Number.isInteger(step))
      throw new UserError(
        `--resume is ${resume}; use auto, never, or a checkpoint's folder such as ${join(runDir, 'checkpoints', 'step-100')}.`,
      );
    from = { step, path: resume };
  }
  const resolved = join(runDir, 'config.yaml');
  if (!from) return undefined;
  const names: readonly string[] = await readdir(runDir).catch(() => []);
  // A checkpoint of another run has another config beside it; loadCheckpoint sees whether it fits.
  const isOwn = checkpoints.some(({ path }) => resolve(path) === resolve(from.path));
  if (!isOwn || !names.includes('config.yaml')) return { ...from, changes: [] };
  const { refused, allowed } = changesOnResume((await loadConfig(resolved, { checkFiles: false })).config, config);
  if (refused.length > 0) {
    const listed = refused.map(describeChange);
    throw new UserError(
      `${runDir} holds a run with another config: ${listed.join('; ')}. Put it back, choose another run_dir, or delete the folder.`,
    );
  }
  return { ...from, changes: allowed };
}

/** A changed option as part of a sentence. */
export function describeChange({ option, from, to }: OptionChange): string {
  return `${option} was ${JSON.stringify(from)} and is ${JSON.stringify(to)}`;
}
