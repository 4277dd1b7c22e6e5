import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { DType } from '../src/graph/tensor.ts';
import { fileError } from '../src/io/file-error.ts';
import { byCodePoint } from './list-files.ts';
import type { Sample } from './sample.ts';

/** What JSON can hold and says in one way only. */
export type Canonical = string | number | boolean | null | readonly Canonical[] | { readonly [key: string]: Canonical };

// Array.isArray alone does not narrow a readonly array.
function isList(value: Canonical): value is readonly Canonical[] {
  return Array.isArray(value);
}

/**
 * JSON without spaces, keys by code point: equal values give equal texts.
 * @throws RangeError for NaN and infinities, which JSON would write as null
 */
export function canonicalJson(value: Canonical): string {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new RangeError(`canonicalJson: ${value} is no number of JSON`);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => byCodePoint(a, b));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(',')}}`;
}

/** SHA-256 of a value's canonical JSON, 64 hexadecimal digits. */
export function keyOf(value: Canonical): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

// Raised when decoding or scaling gives other pixels for the same picture and placement.
const pixelsVersion = 1;

/** What an autoencoder's latents depend on besides the sample. */
export interface LatentKeyOptions {
  /** The autoencoder: {@link modelFilesKey} of its files. */
  readonly modelKey: string;
  /** The precision it computes in. */
  readonly dtype: DType | 'int8' | 'int4';
}

/** The key of a sample's latents and of its mask at their size. The caption has no part in it. */
export function latentKey(
  { example, placement }: Pick<Sample, 'example' | 'placement'>,
  { modelKey, dtype }: LatentKeyOptions,
): string {
  const { picture, mask, dataset } = example;
  const { resize, crop, flip, kernel } = placement;
  return keyOf({
    kind: 'latents',
    version: pixelsVersion,
    contentHash: picture.contentHash,
    background: picture.hasAlpha ? [...dataset.background] : null,
    mask: mask === undefined ? null : mask.kind === 'alpha' ? 'alpha' : mask.contentHash,
    resize: [resize.height, resize.width],
    crop: [crop.top, crop.left, crop.height, crop.width],
    flip,
    kernel,
    modelKey,
    dtype,
  });
}

/** What a text's embeddings depend on. */
export interface TextKeyOptions {
  /** The caption as the encoder's tokenizer gets it, cleaned. */
  readonly text: string;
  /** The instruction before it; null for none. */
  readonly chi: string | null;
  /** Tokenizer and encoder: {@link modelFilesKey} of their files. */
  readonly modelKey: string;
  readonly maxSequenceLength: number;
  readonly dtype: DType | 'int8' | 'int4';
}

// Raised when encoding gives other numbers, be it in their last bits, for the same text.
const textVersion = 2;

/** The key of a text's embeddings. */
export function textKey({ text, chi, modelKey, maxSequenceLength, dtype }: TextKeyOptions): string {
  return keyOf({ kind: 'text', version: textVersion, text, chi, modelKey, maxSequenceLength, dtype });
}

// A file up to this size is hashed whole; of a larger one its header and evenly spaced samples, since a text encoder's
// gigabytes would take as long to hash as hundreds of captions to encode. Any training changes all weights of a file.
const hashedWhole = 64 * 2 ** 20;
const sampleBytes = 64 * 2 ** 10;
const sampleCount = 256;

async function hashFile(path: string): Promise<string> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, 'read', path);
  });
  try {
    const { size } = await handle.stat();
    const hash = createHash('sha256').update(`${size}:`);
    if (size <= hashedWhole) return hash.update(await handle.readFile()).digest('hex');
    const buffer = new Uint8Array(sampleBytes);
    for (let i = 0; i < sampleCount; i++) {
      const { bytesRead } = await handle.read(
        buffer,
        0,
        sampleBytes,
        Math.floor(((size - sampleBytes) * i) / (sampleCount - 1)),
      );
      hash.update(buffer.subarray(0, bytesRead));
    }
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

/**
 * A model's key by the contents of its files (weights, config, tokenizer), wherever they lie and whenever they were
 * written. Files above 64 MiB are sampled: 256 evenly spaced blocks of 64 KiB, the first and the last among them.
 * @throws UserError when a file cannot be read
 */
export async function modelFilesKey(paths: readonly string[]): Promise<string> {
  const entries: string[][] = [];
  for (const path of paths) entries.push([basename(path), await hashFile(path)]);
  return keyOf({ kind: 'model', files: entries.sort((a, b) => byCodePoint(a.join('/'), b.join('/'))) });
}
