import { UserError } from '../errors.ts';
import { bytesPerElement } from '../graph/tensor.ts';
import type { DType } from '../graph/tensor.ts';
import { duplicateKey, isRecord, quoted } from './json.ts';

// The format is described at https://huggingface.co/docs/safetensors: 8 bytes of header length (little-endian),
// a JSON header, then the tensors' bytes without gaps. This file knows the header alone, not where it came from.

/** The largest header that the safetensors library reads. */
export const maxHeaderBytes = 100_000_000;

/** One tensor's entry in a header: its element type, shape, and byte range after the header. */
export interface HeaderEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What a header says. */
export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, HeaderEntry>;
}

// In the library's order of its DType enum; it writes the highest first, so that every tensor is aligned.
const fileDTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['I64', 'int64'],
]);
const fileNames = new Map([...fileDTypes].map(([name, dtype]) => [dtype, name]));
const fileOrder = [...fileDTypes.values()];

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseEntry(name: string, value: unknown): HeaderEntry {
  const tensor = `tensor ${quoted(name)}`;
  if (!isRecord(value)) throw new UserError(`${tensor} is not described by an object`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = value;
  const dtype = typeof dtypeName === 'string' ? fileDTypes.get(dtypeName) : undefined;
  if (dtype === undefined) {
    const known = [...fileDTypes.keys()].join(', ');
    throw new UserError(`${tensor} has the dtype ${quoted(String(dtypeName))}, and only ${known} can be read`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw new UserError(`${tensor} has a shape that is not a list of whole numbers from 0`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw new UserError(`${tensor} has data_offsets that are not two whole numbers from 0`);
  }
  const [begin = 0, end = 0] = offsets;
  const bytes = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
  if (end < begin) throw new UserError(`${tensor} has data_offsets that end (${end}) before they begin (${begin})`);
  if (bytes !== end - begin) {
    const size = `[${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}] of ${String(dtypeName)}`;
    throw new UserError(`${tensor} is ${size}, which takes ${bytes} bytes, but its data_offsets hold ${end - begin}`);
  }
  return { dtype, shape, begin, end };
}

function parseMetadata(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) throw new UserError('its __metadata__ is not an object');
  const metadata: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    if (key === '__proto__') throw new UserError('its __metadata__ has a key named "__proto__"');
    if (typeof text !== 'string')
      throw new UserError(`its __metadata__ has a value at ${quoted(key)} that is not a text`);
    metadata[key] = text;
  }
  return metadata;
}

/** The tensors' byte ranges must follow each other from 0 to the end of the file: no overlap, no hole, nothing left. */
function checkRanges(tensors: ReadonlyMap<string, HeaderEntry>, dataBytes: number): void {
  let at = 0;
  let last = '';
  for (const [name, { begin, end }] of [...tensors].sort((a, b) => a[1].begin - b[1].begin || a[1].end - b[1].end)) {
    if (end > dataBytes) {
      throw new UserError(`tensor ${quoted(name)} ends at byte ${end} of the data, but the file holds ${dataBytes}`);
    }
    if (begin < at) throw new UserError(`tensors ${quoted(last)} and ${quoted(name)} overlap at byte ${begin}`);
    if (begin > at) throw new UserError(`no tensor uses bytes ${at} to ${begin}, before tensor ${quoted(name)}`);
    at = end;
    last = name;
  }
  if (at !== dataBytes) throw new UserError(`its tensors take ${at} bytes, but ${dataBytes} follow the header`);
}

/**
 * Checks and reads a header.
 * @param bytes the JSON part, without the length before it
 * @param dataBytes how many bytes follow the header in the file
 * @throws UserError whose message is what is wrong, without the file's name and without a full stop
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number): Header {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new UserError('its header is not UTF-8 text');
  }
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError('its header is not JSON');
  }
  if (!isRecord(value)) throw new UserError('its header is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw new UserError(`its header has the name ${quoted(duplicate)} twice`);
  const tensors = new Map<string, HeaderEntry>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (name === '__metadata__') metadata = parseMetadata(entry);
    else if (name === '__proto__') throw new UserError('it has a tensor named "__proto__"');
    else tensors.set(name, parseEntry(name, entry));
  }
  checkRanges(tensors, dataBytes);
  return { metadata, tensors };
}

/** A tensor that is to be written: what the header needs to know of it. */
export interface TensorSize {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Entries in the order in which the safetensors library lays them out: widest dtype first, then by name. */
export function fileOrdered<T extends TensorSize>(tensors: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  return [...tensors].sort(
    ([a, x], [b, y]) => fileOrder.indexOf(y.dtype) - fileOrder.indexOf(x.dtype) || byCodePoint(a, b),
  );
}

/**
 * The first bytes of a file, length and JSON, for tensors laid out in the given order. Spaces pad it to a multiple
 * of 8 bytes, so that every tensor is aligned in memory when the file is mapped.
 * @throws UserError for a name that stands twice or that readers refuse
 */
export function headerBytes(
  tensors: readonly (readonly [string, TensorSize])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Text by text: a plain object would reorder names that look like numbers.
  const entries: string[] = [];
  const keys = Object.keys(metadata).sort(byCodePoint);
  if (keys.length > 0) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
    entries.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  const names = new Set<string>(['__metadata__', '__proto__']);
  let at = 0;
  for (const [name, { dtype, shape }] of tensors) {
    if (names.has(name))
      throw new UserError(`A tensor cannot be named ${quoted(name)}: the name is reserved or stands twice.`);
    names.add(name);
    const end = at + shape.reduce((product, size) => product * size, bytesPerElement(dtype));
    const info = { dtype: fileNames.get(dtype), shape, data_offsets: [at, end] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(info)}`);
    at = end;
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeaderBytes)
    throw new UserError(`The header would take ${length} bytes; readers take ${maxHeaderBytes} at most.`);
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
