import { createHash } from 'node:crypto';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../src/errors.ts';
import { tensorBytes } from '../src/graph/tensor.ts';
import type { Tensor } from '../src/graph/tensor.ts';
import { errorCode, fileError } from '../src/io/file-error.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../src/io/safetensors.ts';
import { removeLeftovers } from '../src/io/temporary-path.ts';
import { byCodePoint } from './list-files.ts';

/** Tensors on disk by key, shared between runs and between processes. */
export interface Cache {
  readonly folder: string;
  /** Whether there is an entry, unread and unverified. */
  has(key: string): Promise<boolean>;
  /**
   * An entry's tensors by name; undefined when there is none, or it was damaged (it is then removed, with a notice).
   * @throws UserError when the disk cannot be read
   */
  get(key: string): Promise<ReadonlyMap<string, Tensor> | undefined>;
  /**
   * Writes an entry, whole or not at all; a crash or another process that writes the same does no harm.
   * @throws UserError when the disk is full and the like
   */
  put(key: string, tensors: Iterable<readonly [string, Tensor]>): Promise<void>;
}

/** What {@link openCache} takes. */
export interface CacheOptions {
  /** Told in a sentence of a damaged entry, or of entries by another version of this program. */
  readonly onNotice?: (message: string) => void;
}

// Raised when the layout of entries changes; what keys mean has versions of its own.
const version = 'v1';

function pathOf(folder: string, key: string): string {
  if (!/^[0-9a-f]{64}$/.test(key)) throw new RangeError(`Cache: the key ${JSON.stringify(key)} is no SHA-256`);
  return join(folder, version, key.slice(0, 2), `${key}.safetensors`);
}

/** SHA-256 over names, dtypes, shapes and bytes. */
function checksum(tensors: ReadonlyMap<string, Tensor>): string {
  const hash = createHash('sha256');
  for (const [name, one] of [...tensors].sort(([a], [b]) => byCodePoint(a, b))) {
    hash.update(`${JSON.stringify(name)} ${one.dtype} [${one.shape.join(', ')}]\n`).update(tensorBytes(one));
  }
  return hash.digest('hex');
}

/** Reads an entry; a UserError without a system's code says that it is damaged. */
async function readEntry(path: string, key: string): Promise<ReadonlyMap<string, Tensor>> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const [name, location] of file.tensors) tensors.set(name, await readTensor(location));
  if (file.metadata.key !== key) throw new UserError('it is the entry of another key');
  if (file.metadata.sha256 !== checksum(tensors)) throw new UserError('its checksum is wrong');
  return tensors;
}

/**
 * Opens a cache, making its folder if need be.
 * @throws UserError when the folder cannot be made or read
 */
export async function openCache(folder: string, { onNotice = () => undefined }: CacheOptions = {}): Promise<Cache> {
  try {
    await mkdir(join(folder, version), { recursive: true });
    const others = (await readdir(folder)).filter((name) => /^v\d+$/.test(name) && name !== version);
    if (others.length > 0) {
      onNotice(
        `The cache ${folder} also holds entries of another version of sana-train (${others.join(', ')}); they are not used and may be deleted.`,
      );
    }
  } catch (error) {
    throw fileError(error, 'open the cache', folder);
  }
  await removeLeftovers(join(folder, version), '*/.*.tmp');

  return {
    folder,
    async has(key) {
      return await access(pathOf(folder, key)).then(
        () => true,
        () => false,
      );
    },
    async get(key) {
      const path = pathOf(folder, key);
      try {
        return await readEntry(path, key);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        const code = errorCode(error.cause);
        if (code === 'ENOENT') return undefined;
        if (code !== undefined) throw error;
        onNotice(`A cache entry was damaged and is made again (${error.message.replace(/\.$/, '')}).`);
        await rm(path, { force: true }).catch((reason: unknown) => {
          throw fileError(reason, 'remove', path);
        });
        return undefined;
      }
    },
    async put(key, tensors) {
      const byName = new Map(tensors);
      await writeSafetensors(pathOf(folder, key), byName, { metadata: { key, sha256: checksum(byName) } });
    },
  };
}
