import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { place } from '../../../src/images/placement.ts';
import { parseColour, renderMask, renderPicture } from '../../../src/images/render-picture.ts';

/** A picture without compression loss, made of rows of colours. */
async function picture(rows: readonly (readonly (readonly number[])[])[]): Promise<Buffer> {
  const data = Uint8Array.from(rows.flat(2));
  const channels = rows[0]?.[0]?.length === 4 ? 4 : 3;
  return await sharp(data, { raw: { height: rows.length, width: rows[0]?.length ?? 0, channels } })
    .png()
    .toBuffer();
}

function plain(colour: string | { r: number; g: number; b: number; alpha: number }): Sharp {
  return sharp({ create: { width: 64, height: 64, channels: typeof colour === 'string' ? 3 : 4, background: colour } });
}

/** Red, green and blue from 0 to 255 at a pixel of [3, H, W]. */
function colourAt({ shape, data }: Tensor, row: number, column: number): number[] {
  const [, height = 0, width = 0] = shape;
  return [0, 1, 2].map((c) => Math.round((Number(data[(c * height + row) * width + column]) + 1) * 127.5));
}

const whole = place({ height: 64, width: 64 }, { height: 64, width: 64 });
const red = [255, 0, 0];
const blue = [0, 0, 255];
const green = [0, 255, 0];
const grey = [128, 128, 128];

describe('renderPicture', () => {
  it('gives [3, H, W] from -1 to 1 with the values of torchvision', async () => {
    const bytes = await picture([
      [
        [0, 128, 255],
        [1, 2, 3],
      ],
      [
        [255, 0, 64],
        [10, 20, 30],
      ],
    ]);
    const { pixels } = await renderPicture(bytes, place({ height: 2, width: 2 }, { height: 2, width: 2 }));
    expect(pixels.shape).toEqual([3, 2, 2]);
    const normal = (value: number): number => (value / 255 - 0.5) / 0.5;
    const expected = [0, 1, 255, 10, 128, 2, 0, 20, 255, 3, 64, 30].map(normal);
    expect(pixels).toBeAllclose(expected, { atol: 1e-6 });
    expect(toFloat32(pixels)[0]).toBe(-1);
    expect(toFloat32(pixels)[2]).toBe(1);
  });

  it('cuts the rectangle of the scaled picture and then mirrors it', async () => {
    const bytes = await picture([
      [red, green, blue, grey],
      [red, green, blue, grey],
    ]);
    const placement = {
      resize: { height: 2, width: 4 },
      crop: { top: 0, left: 1, height: 2, width: 2 },
      flip: false,
      kernel: 'bicubic',
    } as const;
    const { pixels } = await renderPicture(bytes, placement);
    expect([colourAt(pixels, 0, 0), colourAt(pixels, 0, 1)]).toEqual([green, blue]);
    const { pixels: mirrored } = await renderPicture(bytes, { ...placement, flip: true });
    expect([colourAt(mirrored, 1, 0), colourAt(mirrored, 1, 1)]).toEqual([blue, green]);
  });

  it('undoes every EXIF orientation before it scales', async () => {
    // Upright: red above blue, grey to the right of both halves' green.
    const upright = sharp(
      await picture([
        [red, red, green],
        [blue, blue, grey],
      ]),
    ).resize(96, 64, { kernel: 'nearest' });
    const base = await upright.png().toBuffer();
    for (let orientation = 1; orientation <= 8; orientation++) {
      // The stored pixels that, turned by the tag, are upright again: a turn, then a mirror.
      const turn = [0, 0, 180, 180, 90, 270, 270, 90][orientation - 1] ?? 0;
      const turned = await sharp(base).rotate(turn).png().toBuffer();
      const mirrored = [2, 4, 5, 7].includes(orientation);
      const stored = mirrored ? await sharp(turned).flop().png().toBuffer() : turned;
      const bytes = await sharp(stored).withMetadata({ orientation }).png().toBuffer();
      const { pixels } = await renderPicture(bytes, place({ height: 64, width: 96 }, { height: 64, width: 96 }));
      const corners = [
        colourAt(pixels, 2, 2),
        colourAt(pixels, 2, 93),
        colourAt(pixels, 61, 2),
        colourAt(pixels, 61, 93),
      ];
      expect({ orientation, corners }).toEqual({ orientation, corners: [red, green, blue, grey] });
    }
  });

  it('puts transparent parts on the background, white unless told otherwise', async () => {
    const half = await plain({ r: 255, g: 0, b: 0, alpha: 0.5 }).png().toBuffer();
    expect(colourAt((await renderPicture(half, whole)).pixels, 9, 9)).toEqual([255, 127, 127]);
    const { pixels } = await renderPicture(half, whole, { background: [0, 0, 255] });
    expect(colourAt(pixels, 9, 9)).toEqual([128, 0, 127]);
  });

  it('lets no colour of transparent pixels bleed into their neighbours', async () => {
    const clear = [0, 255, 0, 0]; // what editors leave under erased parts
    const solid = [255, 0, 0, 255];
    const row = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? clear : solid));
    const bytes = await picture(Array.from({ length: 64 }, () => row));
    const { pixels } = await renderPicture(bytes, place({ height: 64, width: 64 }, { height: 32, width: 32 }), {
      background: [0, 0, 0],
    });
    const [r = 0, g = 255] = colourAt(pixels, 16, 16);
    expect(r).toBeGreaterThan(100);
    expect(g).toBeLessThan(3);
  });

  it('makes RGB of grey, 16-bit, CMYK and palette pictures', async () => {
    const near = (actual: number[], expected: number[], by: number): void => {
      actual.forEach((value, i) => expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThanOrEqual(by));
    };
    const shown = async (bytes: Buffer): Promise<number[]> =>
      colourAt((await renderPicture(bytes, whole)).pixels, 30, 30);
    near(await shown(await plain('#808080').toColourspace('b-w').png().toBuffer()), grey, 0);
    near(await shown(await plain('#808080').toColourspace('grey16').png().toBuffer()), grey, 1);
    near(await shown(await plain('#ff8040').toColourspace('rgb16').png().toBuffer()), [255, 128, 64], 1);
    near(await shown(await plain('#ff8040').png({ palette: true }).toBuffer()), [255, 128, 64], 0);
    near(
      await shown(await plain('#ff8040').toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer()),
      [255, 128, 64],
      30,
    );
    near(await shown(await plain('#ff8040').toColourspace('cmyk').tiff().toBuffer()), [255, 128, 64], 30);
    const deep = await plain({ r: 255, g: 128, b: 64, alpha: 0.5 }).toColourspace('rgb16').png().toBuffer();
    near(await shown(deep), [255, 191, 159], 1);
  });

  it('uses the first frame of an animation', async () => {
    const frames = await sharp([await plain('#ff0000').png().toBuffer(), await plain('#0000ff').png().toBuffer()], {
      join: { animated: true },
    })
      .gif()
      .toBuffer();
    expect((await sharp(frames).metadata()).pages).toBe(2);
    expect(colourAt((await renderPicture(frames, whole)).pixels, 5, 5)).toEqual(red);
  });

  it('averages alpha to a mask of latent size, mirrored with the picture', async () => {
    const row = Array.from({ length: 64 }, (_, i) => [9, 9, 9, i < 32 ? 255 : i < 48 ? 0 : 255]);
    const bytes = await picture(Array.from({ length: 64 }, () => row));
    const { alpha } = await renderPicture(bytes, whole, { alphaCell: 32 });
    expect(alpha).toMatchObject({ shape: [1, 2, 2], data: Float32Array.of(1, 0.5, 1, 0.5) });
    const flipped = await renderPicture(bytes, { ...whole, flip: true }, { alphaCell: 32 });
    expect(flipped.alpha?.data).toEqual(Float32Array.of(0.5, 1, 0.5, 1));
  });
});

describe('parseColour', () => {
  it('reads #rrggbb and nothing else', () => {
    expect(parseColour('#Ff8000')).toEqual([255, 128, 0]);
    expect(() => parseColour('white')).toThrow('"white" is no colour; write it as "#ffffff".');
  });
});

describe('renderMask', () => {
  it('scales a mask of any size to its picture, cuts it alike and averages it', async () => {
    const mask = await picture([
      [
        [255, 255, 255],
        [0, 0, 0],
      ],
    ]); // 1 x 2: the left half counts
    const large = await sharp(mask).resize(40, 20, { kernel: 'nearest', fit: 'fill' }).png().toBuffer();
    const placement = {
      resize: { height: 64, width: 128 },
      crop: { top: 0, left: 0, height: 64, width: 128 },
      flip: false,
      kernel: 'bicubic',
    } as const;
    const latent = await renderMask(large, placement, { cell: 32 });
    expect(latent.shape).toEqual([1, 2, 4]);
    expect(latent).toBeAllclose([1, 1, 0, 0, 1, 1, 0, 0], { atol: 0.05 });
    const right = await renderMask(
      large,
      { ...placement, crop: { top: 0, left: 64, height: 64, width: 64 } },
      { cell: 32 },
    );
    expect(right).toBeAllclose([0, 0, 0, 0], { atol: 0.05 });
  });
});
