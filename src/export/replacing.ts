import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { fileError } from '../io/file-error.ts';

/**
 * Writes a file or folder under a temporary name beside its own, which it gets once it was also found right: what was
 * there before stays until then.
 */
export async function replacing<T>(output: string, write: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = join(dirname(resolve(output)), `.${basename(output)}.${randomUUID()}.tmp`);
  try {
    const result = await write(temporary);
    await rm(output, { recursive: true, force: true });
    await rename(temporary, output);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw fileError(error, 'write', output);
  }
}
