import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { type PillowFilter, resizeAsPillow, type RgbPicture } from '../../../src/metrics/pillow-resize.ts';

// Written by tools/goldens/clip.py.
const goldens = join(import.meta.dirname, 'goldens');

interface Case {
  readonly picture: string;
  readonly filter: PillowFilter;
  readonly width: number;
  readonly height: number;
  readonly bytes: string;
}

async function picture(name: string): Promise<RgbPicture> {
  const { data, info } = await sharp(join(goldens, `${name}.png`))
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

describe('resizeAsPillow', () => {
  it('gives the bytes that Pillow gives, whatever the filter, smaller and larger', async () => {
    const cases = JSON.parse(await readFile(join(goldens, 'pillow.json'), 'utf8')) as readonly Case[];
    expect(cases).toHaveLength(12);
    for (const { picture: name, filter, width, height, bytes } of cases) {
      const { data } = resizeAsPillow(await picture(name), width, height, filter);
      expect(Buffer.compare(data, Buffer.from(bytes, 'base64')), `${name} ${filter} ${width}`).toBe(0);
    }
  });

  it('leaves a picture of that size as it is', () => {
    const same = { data: Uint8Array.of(1, 2, 3), width: 1, height: 1 };
    expect(resizeAsPillow(same, 1, 1, 'bicubic')).toBe(same);
  });
});
