import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { float32 } from '../../../src/graph/tensor.ts';
import { encodePng } from '../../../src/pipeline/picture-file.ts';
import { withPngTexts } from '../../../src/pipeline/png-text.ts';

// Two pixels side by side: red and a grey; values outside 0 to 1 are clamped.
const image = float32([1, 3, 1, 2], [1.2, 0.5, -0.1, 0.5, 0, 0.5]);

describe('encodePng', () => {
  it('writes planes of 0 to 1 as pixels of 0 to 255', async () => {
    const pixels = await sharp(await encodePng(image))
      .raw()
      .toBuffer();
    expect([...pixels]).toEqual([255, 0, 0, 128, 128, 128]);
  });

  it('refuses what is no picture', async () => {
    await expect(encodePng(float32([2, 3, 1, 1], [0, 0, 0, 0, 0, 0]))).rejects.toThrow('got [2, 3, 1, 1]');
  });
});

describe('withPngTexts', () => {
  it('adds texts that sharp reads, of any characters', async () => {
    const texts = { parameters: 'a café,\nSteps: 20', 'sana-train': '{"prompt":"日本語 🙂"}' };
    const { comments } = await sharp(await encodePng(image, texts)).metadata();
    expect(comments).toEqual([
      { keyword: 'parameters', text: texts.parameters },
      { keyword: 'sana-train', text: texts['sana-train'] },
    ]);
  });

  it('writes ASCII as tEXt, which every program knows, and leaves no zero in it', async () => {
    const png = await encodePng(image, { parameters: 'caf\0e' });
    const at = 33; // after the signature and IHDR
    expect(Buffer.from(png).subarray(at, at + 8 + 15)).toEqual(Buffer.from('\0\0\0\x0ftEXtparameters\0cafe', 'latin1'));
  });

  it('refuses what is no PNG, and a keyword that is none', () => {
    expect(() => withPngTexts(Uint8Array.of(0xff, 0xd8), { a: 'b' })).toThrow('a PNG file expected');
  });
});
