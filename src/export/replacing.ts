import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { fileError } from '../io/file-error.ts';
import { removeLeftovers, temporaryPath } from '../io/temporary-path.ts';

/**
 * Writes a file or folder under a temporary name beside its own, which it gets once it was also found right: what was
 * there before stays until then. What a killed process left half written is removed first: a model is gigabytes.
 */
export async function replacing<T>(output: string, write: (temporary: string) => Promise<T>): Promise<T> {
  await removeLeftovers(dirname(output));
  const temporary = temporaryPath(output);
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
