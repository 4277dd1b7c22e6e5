import { open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { UserError } from '../errors.ts';
import { bytesPerElement, elementCount, tensorBytes, tensorFromBytes } from '../graph/tensor.ts';
import type { DType, Tensor } from '../graph/tensor.ts';
import { writeAtomically } from './atomic-write.ts';
import { fileError } from './file-error.ts';
import { fileOrdered, headerBytes, maxHeaderBytes, parseHeader } from './safetensors-header.ts';
import type { Header } from './safetensors-header.ts';

/** Where a tensor's bytes lie, row-major and little-endian, in a safetensors file. */
export interface TensorLocation {
  /** The file, with symbolic links resolved: what maps it into memory needs the real one. */
  readonly path: string;
  /** The file as the user named it, for messages; a Hugging Face cache resolves to a hash that says nothing. */
  readonly namedPath?: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Tensors by name, in memory or still in their files. */
export type Weights = ReadonlyMap<string, TensorLocation | Tensor>;

/** Whether a tensor is still in its file. */
export function isTensorLocation(value: TensorLocation | Tensor): value is TensorLocation {
  return 'offset' in value;
}

/** A safetensors file of which only the header was read. */
export interface SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
}

/** The most that one read call takes on every system is 2^31 - 1 bytes. */
const chunk = 2 ** 30;

/** Fills `bytes` from `position` on; returns how many bytes there were. */
async function readFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.byteLength) {
    const length = Math.min(chunk, bytes.byteLength - filled);
    const { bytesRead } = await handle.read(bytes, filled, length, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    return await use(handle);
  } catch (error) {
    throw fileError(error, 'read', path);
  } finally {
    await handle?.close();
  }
}

async function readHeader(path: string, handle: FileHandle): Promise<Header & { readonly dataStart: number }> {
  const stat = await handle.stat();
  if (stat.isDirectory()) throw new UserError(`Could not read ${path}: it is a folder; name a file.`);
  if (!stat.isFile()) throw new UserError(`Could not read ${path}: it is not a regular file.`);
  const start = new Uint8Array(8);
  if ((await readFully(handle, start, 0)) < 8) {
    throw new UserError(`${path} is not a safetensors file: it has ${stat.size} bytes; download or export it again.`);
  }
  if (new TextDecoder().decode(start) === 'version ' && stat.size < 1024) {
    throw new UserError(`${path} is a git-lfs pointer and not the file itself; run git lfs pull in its folder.`);
  }
  const length = new DataView(start.buffer).getBigUint64(0, true);
  if (length > BigInt(Math.max(0, stat.size - 8))) {
    throw new UserError(
      `${path} is truncated or not a safetensors file: its header would take ${length} bytes and the file has ${stat.size}; download or export it again.`,
    );
  }
  if (length > BigInt(maxHeaderBytes)) {
    throw new UserError(`${path} has a header of ${length} bytes; ${maxHeaderBytes} is the most that is read.`);
  }
  const json = new Uint8Array(Number(length));
  const read = await readFully(handle, json, 8);
  const dataStart = 8 + json.byteLength;
  try {
    if (read < json.byteLength) throw new UserError('it ends within its header');
    return { ...parseHeader(json, stat.size - dataStart), dataStart };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${path} is damaged: ${error.message}; download or export it again.`);
  }
}

/**
 * Reads a safetensors file's header, and checks all of it, without reading a tensor.
 * @throws UserError when the file is missing, truncated, or its header lies in any way
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return await withFile(path, async (handle) => {
    const { metadata, tensors, dataStart } = await readHeader(path, handle);
    const real = await realpath(path);
    const located = new Map<string, TensorLocation>();
    for (const [name, { dtype, shape, begin, end }] of tensors) {
      located.set(name, {
        path: real,
        namedPath: path,
        dtype,
        shape,
        offset: dataStart + begin,
        byteLength: end - begin,
      });
    }
    return { path, metadata, tensors: located };
  });
}

/** The file's name for a message. */
export function fileOf(location: TensorLocation): string {
  return location.namedPath ?? location.path;
}

async function readRange(handle: FileHandle, location: TensorLocation, bytes: Uint8Array, from: number): Promise<void> {
  const read = await readFully(handle, bytes, location.offset + from);
  if (read < bytes.byteLength) {
    throw new UserError(`${fileOf(location)} became shorter while it was read; download or export it again.`);
  }
}

/** Reads a tensor's bytes, and no others, into memory. */
export async function readTensor(location: TensorLocation): Promise<Tensor> {
  return await withFile(location.path, async (handle) => {
    const bytes = new Uint8Array(location.byteLength);
    await readRange(handle, location, bytes, 0);
    return tensorFromBytes(location.dtype, location.shape, bytes);
  });
}

/** Reads a tensor's bytes piece by piece, `pieceBytes` (a multiple of the element's size) at a time. */
export async function readPieces(
  location: TensorLocation,
  pieceBytes: number,
  use: (piece: Uint8Array<ArrayBuffer>, start: number) => void,
): Promise<void> {
  await withFile(location.path, async (handle) => {
    const buffer = new Uint8Array(Math.min(pieceBytes, location.byteLength));
    for (let start = 0; start < location.byteLength; start += pieceBytes) {
      const piece = buffer.subarray(0, Math.min(pieceBytes, location.byteLength - start));
      await readRange(handle, location, piece, start);
      use(piece, start);
    }
  });
}

/**
 * Reads some rows of a tensor: `rows.length` of its first dimension, in the order given, repeats allowed.
 * An embedding of 256,000 rows then costs what the prompt's tokens need.
 * @returns shape [rows.length, ...location.shape.slice(1)]
 */
export async function readRows(location: TensorLocation, rows: readonly number[]): Promise<Tensor> {
  const [count = 0, ...rowShape] = location.shape;
  const rowBytes = elementCount(rowShape) * bytesPerElement(location.dtype);
  const wrong = rows.find((row) => !Number.isSafeInteger(row) || row < 0 || row >= count);
  if (wrong !== undefined)
    throw new RangeError(`readRows: row ${wrong} of ${count} rows of shape [${rowShape.join(', ')}]`);
  const bytes = new Uint8Array(rows.length * rowBytes);
  await withFile(location.path, async (handle) => {
    for (let i = 0; i < rows.length;) {
      const first = rows[i] ?? 0;
      let run = 1; // rows that follow each other in the file take one read
      while (rows[i + run] === first + run) run++;
      await readRange(handle, location, bytes.subarray(i * rowBytes, (i + run) * rowBytes), first * rowBytes);
      i += run;
    }
  });
  return tensorFromBytes(location.dtype, [rows.length, ...rowShape], bytes);
}

/** A tensor that is made only when its turn to be written comes, so that a big model never lies in memory whole. */
export interface LazyTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly read: () => Promise<Tensor>;
}

async function resolveTensor(source: Tensor | TensorLocation | LazyTensor): Promise<Tensor> {
  if ('data' in source) return source;
  return 'read' in source ? await source.read() : await readTensor(source);
}

/**
 * Writes a safetensors file, one tensor in memory at a time, through a temporary file that is synced and renamed.
 * The bytes depend on names, tensors and metadata alone (not on their order), as in the safetensors library.
 * @throws UserError for a name that stands twice, a full disk, a read-only folder
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor | TensorLocation | LazyTensor]>,
  { metadata = {} }: { readonly metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const ordered = fileOrdered(tensors);
  const header = headerBytes(ordered, metadata);
  await writeAtomically(path, async (append) => {
    await append(header);
    for (const [name, source] of ordered) {
      const made = await resolveTensor(source);
      if (made.dtype !== source.dtype || made.shape.join() !== source.shape.join()) {
        throw new RangeError(
          `writeSafetensors: ${name} was announced as ${source.dtype} [${source.shape.join(', ')}] and came as ${made.dtype} [${made.shape.join(', ')}]`,
        );
      }
      await append(tensorBytes(made));
    }
  });
}
