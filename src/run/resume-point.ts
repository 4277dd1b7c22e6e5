import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { loadConfig } from '../config/load-config.ts';
import { changesOnResume } from '../config/resolved-config.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { listCheckpoints } from './checkpoint.ts';

/**
 * Where to go on from: what --resume or the config says, after a look at how the config has changed since.
 * @throws UserError when the run was begun with a config that differs in more than may change
 */
export async function checkpointToResume(
  config: Config,
  resume: string,
): Promise<{ readonly step: number; readonly path: string } | undefined> {
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
  if (!from || !(await readdir(runDir)).includes('config.yaml')) return from;
  const { refused } = changesOnResume((await loadConfig(resolved, { checkFiles: false })).config, config);
  if (refused.length > 0) {
    const listed = refused.map(
      ({ option, from: before, to }) => `${option} was ${JSON.stringify(before)} and is ${JSON.stringify(to)}`,
    );
    throw new UserError(
      `${runDir} holds a run with another config: ${listed.join('; ')}. Put it back, choose another run_dir, or delete the folder.`,
    );
  }
  return from;
}
