import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, fileError } from './file-error.ts';
import { temporaryPath } from './temporary-path.ts';

/** Appends bytes to a file that is being written; resolves once the system has taken them. */
export type Append = (bytes: Uint8Array) => Promise<void>;

/** One write call takes at most 2^31 - 1 bytes on every system. */
const chunk = 2 ** 28;

async function appendTo(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, start, Math.min(chunk, bytes.byteLength - start));
    start += bytesWritten;
  }
}

/** Windows refuses a rename while a virus scanner or indexer holds the file open for a moment. */
async function renamePatiently(from: string, to: string): Promise<void> {
  for (let wait = 10; ; wait *= 2) {
    try {
      return await rename(from, to);
    } catch (error) {
      const passing = process.platform === 'win32' && ['EPERM', 'EACCES', 'EBUSY'].includes(errorCode(error) ?? '');
      if (!passing || wait > 1000) throw error;
      await sleep(wait);
    }
  }
}

/** Makes a rename survive a power cut, where the system can sync folders (Windows and some network drives cannot). */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EACCES', 'EPERM', 'EISDIR', 'EBADF'].includes(errorCode(error) ?? '')) throw error;
  }
}

/**
 * Writes a file so that a reader, or a crash at any moment, finds the old file or the whole new one:
 * a temporary file in the same folder (made if missing), fsync, rename.
 * @throws UserError when the disk is full, the folder is read-only and the like; the temporary file is then gone.
 */
export async function writeAtomically(path: string, write: (append: Append) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryPath(path);
  try {
    await mkdir(folder, { recursive: true });
    const handle = await open(temporary, 'wx');
    try {
      await write((bytes) => appendTo(handle, bytes));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renamePatiently(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, 'write', path);
  }
}

/** Writes bytes atomically, see {@link writeAtomically}. */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  await writeAtomically(path, (append) => append(bytes));
}

/** Writes UTF-8 text atomically, see {@link writeAtomically}. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeBytes(path, new TextEncoder().encode(text));
}

/** Writes a value as indented JSON with a final newline, atomically, see {@link writeAtomically}. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeText(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
