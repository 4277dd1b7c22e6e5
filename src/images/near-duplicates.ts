import { thumbnailSide } from './inspect-picture.ts';

// A difference hash (dHash, Neal Krawetz, https://www.hackerfactor.com/blog/?/archives/529-Kind-of-Like-That.html) of
// 8 x 8 cells in both directions finds candidates fast; the correlation of the miniatures decides. On drawn pictures and
// photos, copies that were scaled, recompressed, brightened by 10% or cut by 3% correlate by 0.975 and more, and other
// poses of one dog before one wall by 0.963 at most.
const side = thumbnailSide / 2;
const wordsPerHash = 4; // 2 * 8 * 7 = 112 bits
const maxDistance = 16;
const minCorrelation = 0.975;
// Miniatures whose values spread by less than this are one plain colour; a correlation of their noise means nothing.
const plainDeviation = 2;

/** The mean of a 2 x 2 cell, times 4. */
function cell(thumbnail: Uint8Array, row: number, column: number): number {
  const at = 2 * row * thumbnailSide + 2 * column;
  const below = at + thumbnailSide;
  return (thumbnail[at] ?? 0) + (thumbnail[at + 1] ?? 0) + (thumbnail[below] ?? 0) + (thumbnail[below + 1] ?? 0);
}

/** The 112 bits of a miniature: whether each cell is darker than the one to its right, and than the one below. */
export function differenceHash(thumbnail: Uint8Array): Uint32Array {
  const words = new Uint32Array(wordsPerHash);
  let bit = 0;
  const add = (set: boolean): void => {
    if (set) words[bit >> 5] = (words[bit >> 5] ?? 0) | (1 << (bit & 31));
    bit++;
  };
  for (let a = 0; a < side; a++) {
    for (let b = 0; b < side - 1; b++) {
      add(cell(thumbnail, a, b) < cell(thumbnail, a, b + 1));
      add(cell(thumbnail, b, a) < cell(thumbnail, b + 1, a));
    }
  }
  return words;
}

function popCount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

interface Prepared {
  readonly mean: number;
  readonly deviation: number;
  readonly thumbnail: Uint8Array;
}

function prepare(thumbnail: Uint8Array): Prepared {
  let sum = 0;
  for (const value of thumbnail) sum += value;
  const mean = sum / thumbnail.length;
  let square = 0;
  for (const value of thumbnail) square += (value - mean) ** 2;
  return { mean, deviation: Math.sqrt(square / thumbnail.length), thumbnail };
}

function alike(a: Prepared, b: Prepared): boolean {
  if (a.deviation < plainDeviation || b.deviation < plainDeviation) {
    return Math.max(a.deviation, b.deviation) < plainDeviation && Math.abs(a.mean - b.mean) < 4;
  }
  let product = 0;
  for (let i = 0; i < a.thumbnail.length; i++) {
    product += ((a.thumbnail[i] ?? 0) - a.mean) * ((b.thumbnail[i] ?? 0) - b.mean);
  }
  return product / (a.thumbnail.length * a.deviation * b.deviation) >= minCorrelation;
}

/**
 * For each miniature the index of the first one before it that shows nearly the same, if there is one.
 * Every pair of hashes is compared: half a second for 10,000 pictures.
 */
export function findNearDuplicates(thumbnails: readonly Uint8Array[]): (number | undefined)[] {
  const prepared = thumbnails.map(prepare);
  const hashes = new Uint32Array(thumbnails.length * wordsPerHash);
  thumbnails.forEach((thumbnail, i) => hashes.set(differenceHash(thumbnail), i * wordsPerHash));
  return prepared.map((picture, i) => {
    const [h0 = 0, h1 = 0, h2 = 0, h3 = 0] = hashes.subarray(i * wordsPerHash, (i + 1) * wordsPerHash);
    for (let j = 0; j < i; j++) {
      const at = j * wordsPerHash;
      let distance = popCount(h0 ^ (hashes[at] ?? 0)) + popCount(h1 ^ (hashes[at + 1] ?? 0));
      if (distance > maxDistance) continue;
      distance += popCount(h2 ^ (hashes[at + 2] ?? 0)) + popCount(h3 ^ (hashes[at + 3] ?? 0));
      const other = prepared[j];
      if (distance <= maxDistance && other !== undefined && alike(picture, other)) return j;
    }
    return undefined;
  });
}
