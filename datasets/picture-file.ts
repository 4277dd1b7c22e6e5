import { webcrypto } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PictureError } from '../src/images/picture-error.ts';
import { errorCode } from '../src/io/file-error.ts';

/** The largest file that is read by default: 1 GiB, more than any 16383 x 16383 photo takes. */
export const defaultMaxFileBytes = 2 ** 30;

/** A picture's file as it is now. */
export interface PictureFile {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly contentHash: string;
}

/** SHA-256 in hexadecimal, computed off the main thread. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'It is gone',
  EACCES: 'This user may not read it; change its permissions',
  EPERM: 'The system does not permit to read it',
  ELOOP: 'Its symbolic links form a loop',
};

/**
 * Reads a picture's file and hashes what was read.
 * @throws PictureError when it cannot be read or is larger than `maxFileBytes`
 */
export async function readPictureFile(path: string, maxFileBytes = defaultMaxFileBytes): Promise<PictureFile> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxFileBytes) {
        throw new PictureError(
          'huge',
          `It takes ${size} bytes, and ${maxFileBytes} is the most that is read; scale it down.`,
        );
      }
      const bytes = await handle.readFile();
      return { bytes, contentHash: await sha256(bytes) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof PictureError) throw error;
    const code = errorCode(error) ?? String(error);
    throw new PictureError('unreadable', `${reasons[code] ?? `It cannot be read (${code})`}.`, { cause: error });
  }
}
