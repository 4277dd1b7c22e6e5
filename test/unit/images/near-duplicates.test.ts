import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { inspectPicture } from '../../../src/images/inspect-picture.ts';
import { differenceHash, findNearDuplicates } from '../../../src/images/near-duplicates.ts';

const examples = join(import.meta.dirname, '../../../examples');

async function thumbnail(bytes: Uint8Array): Promise<Uint8Array> {
  return (await inspectPicture(bytes)).thumbnail;
}

describe('findNearDuplicates', () => {
  it('finds scaled, recompressed, brightened and slightly cut copies of a picture', async () => {
    const original = await readFile(join(examples, 'fox/01.png'));
    const copies = [
      original,
      await sharp(original).jpeg({ quality: 60 }).toBuffer(),
      await sharp(original).resize(150).webp().toBuffer(),
      await sharp(original).modulate({ brightness: 1.1 }).png().toBuffer(),
      await sharp(original).extract({ left: 8, top: 8, width: 496, height: 496 }).png().toBuffer(),
    ];
    expect(findNearDuplicates(await Promise.all(copies.map(thumbnail)))).toEqual([undefined, 0, 0, 0, 0]);
  });

  it('takes poses of one dog before one wall for different pictures', async () => {
    const files = ['01', '02', '03', '04', '05'].map((name) => readFile(join(examples, `dog/${name}.png`)));
    const thumbnails = await Promise.all(files.map(async (file) => thumbnail(await file)));
    expect(findNearDuplicates(thumbnails)).toEqual(Array<undefined>(5).fill(undefined));
  });

  it('compares plain pictures by their brightness', () => {
    const plain = (value: number): Uint8Array => new Uint8Array(256).fill(value);
    expect(findNearDuplicates([plain(10), plain(200), plain(201)])).toEqual([undefined, undefined, 1]);
  });
});

describe('differenceHash', () => {
  it('has a bit for every cell that is darker than its right or lower neighbour', () => {
    const columns = Uint8Array.from({ length: 256 }, (_, i) => i % 16);
    const bits = [...differenceHash(columns)].map((word) => word.toString(2).replaceAll('0', '').length);
    expect(bits.reduce((a, b) => a + b)).toBe(56); // every cell but the last of 8 rows, and none downwards
  });
});
