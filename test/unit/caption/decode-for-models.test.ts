import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { decodeForModels, sideForModels } from '../../../src/caption/decode-for-models.ts';
import type { RgbPicture } from '../../../src/metrics/pillow-resize.ts';

describe('sideForModels', () => {
  it('leaves pictures of up to 2048 pixels whole, whatever looks at them', () => {
    expect(sideForModels({ width: 2048, height: 1536 }, 224)).toBe(2048);
    expect(sideForModels({ width: 300, height: 1000 }, undefined)).toBe(1000);
  });

  it('halves large ones while that leaves three times what is looked at', () => {
    expect(sideForModels({ width: 4000, height: 3000 }, 224)).toBe(1000);
    expect(sideForModels({ width: 3000, height: 4000 }, 250)).toBe(1000);
    expect(sideForModels({ width: 4001, height: 3000 }, 251)).toBe(2001);
    expect(sideForModels({ width: 8192, height: 6144 }, 224)).toBe(1024);
  });

  it('brings the others to 2048 pixels', () => {
    expect(sideForModels({ width: 4000, height: 3000 }, undefined)).toBe(2048);
    expect(sideForModels({ width: 4000, height: 3000 }, 768)).toBe(2048);
    // Nothing is left of the shorter side to halve.
    expect(sideForModels({ width: 9000, height: 300 }, 224)).toBe(2048);
  });
});

/** Red on the left and blue on the right, the lower half of both dark: 2400 x 1800 pixels. */
async function quarters(): Promise<Uint8Array> {
  const [width, height] = [2400, 1800];
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data[3 * i + (i % width < width / 2 ? 0 : 2)] = i < (width * height) / 2 ? 240 : 90;
  }
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 95 })
    .toBuffer();
}

function colourAt({ data, width, height }: RgbPicture, x: number, y: number): readonly number[] {
  const at = (Math.floor(y * height) * width + Math.floor(x * width)) * 3;
  return [...data.subarray(at, at + 3)];
}

function expectColour(picture: RgbPicture, x: number, y: number, [red, green, blue]: readonly number[]): void {
  const found = colourAt(picture, x, y);
  for (const [i, value] of [red, green, blue].entries())
    expect(Math.abs((found[i] ?? 0) - (value ?? 0))).toBeLessThan(12);
}

describe('decodeForModels', () => {
  it('shrinks photos that lie on their side, upright', async () => {
    const turned = await sharp(await quarters())
      .withExif({ IFD0: { Orientation: '6' } })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 95 })
      .toBuffer();
    const side = sideForModels({ width: 1800, height: 2400 }, 100);
    const picture = await decodeForModels(turned, side);
    expect([picture.width, picture.height, picture.data.length]).toEqual([450, 600, 450 * 600 * 3]);
    // Orientation 6 is turned by 90 degrees clockwise: what was on the left is above, what was below is on the left.
    expectColour(picture, 0.25, 0.25, [90, 0, 0]);
    expectColour(picture, 0.75, 0.25, [240, 0, 0]);
    expectColour(picture, 0.25, 0.75, [0, 0, 90]);
    expectColour(picture, 0.75, 0.75, [0, 0, 240]);
  });

  it('shrinks CMYK, grey and transparent pictures to what they show', async () => {
    const rgb = await quarters();
    const cmyk = await decodeForModels(await sharp(rgb).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer(), 600);
    const [red = 0, green = 255, blue = 255] = colourAt(cmyk, 0.25, 0.25);
    expect(red).toBeGreaterThan(180);
    expect(Math.max(green, blue)).toBeLessThan(70);

    const grey = await decodeForModels(await sharp(rgb).greyscale().jpeg({ quality: 95 }).toBuffer(), 600);
    expect([grey.width, grey.height, grey.data.length]).toEqual([600, 450, 600 * 450 * 3]);
    const [bright = 0, ...others] = colourAt(grey, 0.25, 0.25);
    expect(others).toEqual([bright, bright]);

    const clear = {
      create: { width: 2400, height: 1800, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
    } as const;
    const white = await decodeForModels(await sharp(clear).webp({ lossless: true }).toBuffer(), 600);
    expect([white.width, white.height]).toEqual([600, 450]);
    expectColour(white, 0.5, 0.5, [255, 255, 255]);
  });
});
