import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { UserError } from '../errors.ts';
import { tensor, tensorBytes, type Tensor } from '../graph/tensor.ts';
import { errorCode } from './file-error.ts';
import {
  type LazyTensor,
  openSafetensors,
  readPieces,
  readTensor,
  type TensorLocation,
  writeSafetensors,
} from './safetensors.ts';
import { removeLeftovers } from './temporary-path.ts';

/** What a file is to hold. */
export interface DigestedFile {
  readonly file: string;
  /** What the file says of itself; of another it is made anew. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Each is made when its turn to be written comes. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  readonly signal?: AbortSignal;
}

/** Tensors by name in their file. */
export type LocatedTensors = ReadonlyMap<string, TensorLocation>;

// Written last, when all others are known: of the narrowest dtype, and after all names of that.
const digestName = '~sha256';

/**
 * Tensors that take time to make, kept in a safetensors file with a digest of their bytes; made when the file is missing,
 * is of something else or is damaged.
 * @throws UserError when the disk is full and the like
 */
export async function digestedFile(options: DigestedFile): Promise<LocatedTensors> {
  return (await openWhole(options)) ?? (await write(options));
}

/** The file's tensors, if they are the expected ones and whole. */
async function openWhole({
  file,
  metadata: expected,
  tensors: made,
  signal,
}: DigestedFile): Promise<LocatedTensors | undefined> {
  try {
    const { metadata, tensors } = await openSafetensors(file);
    const digest = tensors.get(digestName);
    const isSame =
      Object.keys(expected).every((name) => metadata[name] === expected[name]) &&
      tensors.size === made.size + 1 &&
      [...made].every(([name, { dtype, shape }]) => {
        const found = tensors.get(name);
        return found?.dtype === dtype && found.shape.join() === shape.join();
      });
    if (digest && isSame) {
      const hash = createHash('sha256');
      for (const location of tensors.values()) {
        signal?.throwIfAborted();
        if (location !== digest) await readPieces(location, 2 ** 22, (piece) => hash.update(piece));
      }
      if (hash.digest().equals(tensorBytes(await readTensor(digest)))) return without(digestName, tensors);
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (errorCode(error.cause) === 'ENOENT') return undefined;
  }
  await rm(file, { force: true });
  return undefined;
}

async function write({ file, metadata, tensors, signal }: DigestedFile): Promise<LocatedTensors> {
  await removeLeftovers(dirname(file));
  const hash = createHash('sha256');
  const hashed = [...tensors].map(([name, source]): [string, LazyTensor] => {
    const read = async (): Promise<Tensor> => {
      signal?.throwIfAborted();
      const made = await source.read();
      hash.update(tensorBytes(made));
      return made;
    };
    return [name, { ...source, read }];
  });
  const read = (): Promise<Tensor> => Promise.resolve(tensor('uint8', [32], new Uint8Array(hash.digest())));
  await writeSafetensors(file, [...hashed, [digestName, { dtype: 'uint8', shape: [32], read }]], { metadata });
  return without(digestName, (await openSafetensors(file)).tensors);
}

function without(name: string, tensors: LocatedTensors): LocatedTensors {
  return new Map([...tensors].filter(([key]) => key !== name));
}
