import { createHash, randomUUID } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

import fastGlob from 'fast-glob';

import { errorCode } from './file-error.ts';

const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

const form = /\.([0-9a-f]{8})-(\d+)-[0-9a-f-]{36}\.tmp$/;

// Links lead elsewhere, to what is not ours.
const quiet = { followSymbolicLinks: false, suppressErrors: true } as const;

/** What another machine writes on a shared drive is not touched for so long. */
const staleAfterMs = 24 * 3600 * 1000;

/** A name beside a path's own for what is being written to it, which tells the process that writes. */
export function temporaryPath(path: string): string {
  return join(dirname(resolve(path)), `.${basename(path)}.${machine}-${process.pid}-${randomUUID()}.tmp`);
}

/**
 * Removes what processes that were killed while they wrote left in a folder: those of this machine that are no more, and
 * anything of others that is a day old. What cannot be removed stays.
 * @param pattern which names, from the folder on. @default those in it
 */
export async function removeLeftovers(folder: string, pattern = '.*.tmp'): Promise<void> {
  const names = await fastGlob(pattern, { cwd: folder, dot: true, onlyFiles: false, ...quiet });
  for (const name of names) {
    const path = join(folder, name);
    if (await isLeftover(path)) await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function isLeftover(path: string): Promise<boolean> {
  const [, host, pid] = form.exec(path) ?? [];
  if (host === undefined) return false;
  if (host === machine) return !isAlive(Number(pid));
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > staleAfterMs;
}

/** Whether there is a process of that number on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
