import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { inspectPicture } from '../../../src/images/inspect-picture.ts';
import { PictureError } from '../../../src/images/picture-error.ts';

function noise(width = 320, height = 240): Sharp {
  return sharp({
    create: { width, height, channels: 3, background: '#000', noise: { type: 'gaussian', mean: 128, sigma: 60 } },
  });
}

async function problem(bytes: Uint8Array, maxPixels?: number): Promise<string> {
  const error: unknown = await inspectPicture(bytes, maxPixels === undefined ? {} : { maxPixels }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof PictureError ? `${error.problem}: ${error.message}` : `no PictureError: ${String(error)}`;
}

describe('inspectPicture', () => {
  it('tells size, format and what will be done, after turning upright', async () => {
    const bytes = await noise().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const facts = await inspectPicture(bytes);
    expect(facts).toMatchObject({ format: 'jpeg', height: 320, width: 240, orientation: 6, pages: 1, hasAlpha: false });
    expect(facts.thumbnail).toHaveLength(256);
  });

  it('knows each format that is read', async () => {
    const formats = ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const;
    for (const format of formats) {
      const bytes = await noise(64, 48).toFormat(format, { effort: 1 }).toBuffer();
      expect(await inspectPicture(bytes)).toMatchObject({ format, height: 48, width: 64, transparent: false });
    }
  });

  it('tells an alpha channel from real transparency', async () => {
    const opaque = await noise(64, 64).ensureAlpha().png().toBuffer();
    expect(await inspectPicture(opaque)).toMatchObject({ hasAlpha: true, transparent: false });
    const clear = await noise(64, 64).ensureAlpha(0.5).png().toBuffer();
    expect(await inspectPicture(clear)).toMatchObject({ hasAlpha: true, transparent: true });
  });

  it('finds pictures that end too early in every format', async () => {
    for (const format of ['jpeg', 'png', 'webp', 'avif', 'gif'] as const) {
      const bytes = await noise().toFormat(format, { effort: 1 }).toBuffer();
      expect(`${format} ${await problem(bytes.subarray(0, bytes.length / 2))}`).toMatch(/ unreadable: It is damaged/);
    }
    const tiff = await noise().tiff().toBuffer();
    expect(await problem(tiff.subarray(0, tiff.length / 2))).toMatch(/^un(readable|supported): /);
    const jpeg = await noise().jpeg().toBuffer();
    expect(await problem(jpeg.subarray(0, jpeg.length - 100))).toMatch(/^unreadable/);
  });

  it('finds a changed byte where the format has checksums', async () => {
    const bytes = Buffer.from(await noise().png().toBuffer());
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 255;
    expect(await problem(bytes)).toMatch(/^unreadable/);
  });

  it('refuses what is no picture, with a remedy', async () => {
    expect(await problem(new Uint8Array())).toMatch(/^unreadable: It is empty/);
    expect(await problem(Buffer.from('hello, this is a text'))).toMatch(/^unsupported: .*convert it to jpeg/);
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"></svg>');
    expect(await problem(svg)).toMatch(/^unsupported: It is in the "svg" format/);
  });

  it('refuses a picture of more pixels than the limit before it decodes any', async () => {
    const bomb = await sharp({ create: { width: 20_000, height: 100, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    expect(bomb.length).toBeLessThan(50_000);
    expect(await problem(bomb, 1_000_000)).toBe('huge: It has more than 1000000 pixels; scale it down.');
    expect(await problem(bomb, 2_000_000)).toMatch(/^no PictureError: undefined/);
  });
});
