import { open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { z } from 'zod';

import { UserError } from '../errors.ts';
import { errorCode, fileError } from '../io/file-error.ts';
import { isAlive } from '../io/temporary-path.ts';

const lockSchema = z.object({ pid: z.int(), host: z.string(), since: z.string() });

/** A run folder that is this process's alone until it is released. */
export interface RunLock {
  release(): Promise<void>;
}

/**
 * Claims a run's folder. A lock whose process is gone (a kill, a power cut) is taken over.
 * @throws UserError when another process has it
 */
export async function lockRun(runDir: string): Promise<RunLock> {
  const path = join(runDir, '.lock');
  const content = JSON.stringify({ pid: process.pid, host: hostname(), since: new Date().toISOString() });
  for (let attempt = 0; ; attempt++) {
    try {
      // 'wx' fails where the file exists: of two processes only one gets it.
      const handle = await open(path, 'wx');
      await handle.writeFile(content);
      await handle.close();
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw fileError(error, 'write', path);
    }
    const owner = await ownerOf(path);
    if (owner !== undefined || attempt > 3) {
      throw new UserError(
        `${runDir} is in use by ${owner ?? 'another process'}; wait until it is done, stop it, or choose another run_dir. (Remove ${path} if that process is no training.)`,
      );
    }
    await rm(path, { force: true });
  }
}

/** Whether a process is at work on a run's folder. */
export async function isUnderWay(runDir: string): Promise<boolean> {
  return (await ownerOf(join(runDir, '.lock'))) !== undefined;
}

/** Who holds a lock; undefined when nobody does any more. */
async function ownerOf(path: string): Promise<string | undefined> {
  let parsed;
  try {
    parsed = lockSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined; // gone meanwhile, or cut short by the crash that left it
  }
  if (!parsed.success) return undefined;
  const { pid, host, since } = parsed.data;
  const name = `process ${pid} on ${host} since ${since}`;
  if (host !== hostname()) return name; // a network drive: whether it lives cannot be seen from here
  if (pid === process.pid) return undefined;
  return isAlive(pid) ? name : undefined;
}
