import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { decode } from 'sixel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Drawing, kittyDrawing, loadDrawing, sixelDrawing } from '../../../src/dashboard/drawing.ts';
import type { PictureProtocol } from '../../../src/dashboard/terminal-answers.ts';

let folder = '';
let path = '';
/** Four fields of 60 x 40: red, green over blue, yellow. */
const fields = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 0],
] as const;
const field = (x: number, y: number, width: number, height: number): readonly number[] =>
  fields[(y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1)] ?? [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawing-'));
  path = join(folder, 'fields.png');
  const pixels = Uint8Array.from(
    Array.from({ length: 120 * 80 }, (_, i) => field(i % 120, Math.floor(i / 120), 120, 80)).flat(),
  );
  await sharp(pixels, { raw: { width: 120, height: 80, channels: 3 } })
    .png()
    .toFile(path);
});
afterAll(() => rm(folder, { recursive: true }));

async function graphic(protocol: PictureProtocol, columns: number, rows: number) {
  const terminal = { protocol, colors: 'full', cell: { width: 10, height: 20 } } as const;
  const drawing = await loadDrawing(path, columns, rows, terminal, 7);
  if (drawing?.kind !== 'graphic') throw new Error(`no picture but ${JSON.stringify(drawing)}`);
  return drawing;
}

/** The pixels of a picture's middle of each field, far from where they meet. */
function corners(data: Uint8Array, width: number, height: number, channels: number): readonly (readonly number[])[] {
  return [
    [0.25, 0.25],
    [0.75, 0.25],
    [0.25, 0.75],
    [0.75, 0.75],
  ].map(([x = 0, y = 0]) => {
    const at = (Math.floor(y * height) * width + Math.floor(x * width)) * channels;
    return [...data.subarray(at, at + 3)];
  });
}

/** The escape codes of kitty's protocol: keys and payload. */
function kittyCodes(text: string): readonly { readonly keys: string; readonly payload: string }[] {
  // oxlint-disable-next-line no-control-regex
  const codes = [...text.matchAll(/\u001b_G([^;\u001b]*)(?:;([^\u001b]*))?\u001b\\/g)];
  // Nothing but codes.
  expect(codes.map(([code]) => code).join('')).toBe(text);
  return codes.map(([, keys = '', payload = '']) => ({ keys, payload }));
}

/** The sixels of a device control string, which is the whole text. */
function sixelsOf(text: string): Buffer {
  // oxlint-disable-next-line no-control-regex
  const [, sixels] = /^\u001bP[\d;]*q([^\u001b]*)\u001b\\$/.exec(text) ?? [];
  if (sixels === undefined) throw new Error('no sixels');
  return Buffer.from(sixels);
}

describe('loadDrawing', () => {
  it('writes a picture by the protocol of kitty that decodes to itself', async () => {
    const { data, show, hide, free } = await graphic('kitty', 30, 5);
    // 150 x 100 pixels of 300 x 100: 15 cells wide.
    expect(show).toBe('\u001b_Ga=p,i=7,p=1,c=15,r=5,C=1,q=2\u001b\\');
    expect(hide).toBe('\u001b_Ga=d,d=i,i=7,q=2\u001b\\');
    expect(free).toBe('\u001b_Ga=d,d=I,i=7,q=2\u001b\\');
    const png = Buffer.from(
      kittyCodes(data)
        .map(({ payload }) => payload)
        .join(''),
      'base64',
    );
    const { data: pixels, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([150, 100, 4]);
    expect(corners(pixels, 150, 100, 4)).toEqual(fields);
  });

  it('fills whole cells, transparent beside the picture', async () => {
    const { data, show } = await graphic('kitty', 7, 9);
    // 70 x 47 pixels need 7 x 3 cells, 70 x 60.
    expect(show).toContain('c=7,r=3');
    const [code] = kittyCodes(data);
    const { data: pixels, info } = await sharp(Buffer.from(code?.payload ?? '', 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([70, 60]);
    expect([pixels[46 * 70 * 4 + 3], pixels[47 * 70 * 4 + 3]]).toEqual([255, 0]);
  });

  it('writes a picture by the protocol of iTerm2 that decodes to itself', async () => {
    const { data, show, hide } = await graphic('iterm2', 30, 5);
    expect([data, hide]).toEqual(['', '']);
    // oxlint-disable-next-line no-control-regex
    const [, keys = '', payload = ''] = /^\u001b\]1337;File=([^:]*):([^\u0007]*)\u0007$/.exec(show) ?? [];
    const png = Buffer.from(payload, 'base64');
    expect(keys).toBe(`inline=1;width=15;height=5;preserveAspectRatio=0;size=${png.length}`);
    const { data: pixels, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect(corners(pixels, info.width, info.height, info.channels)).toEqual(fields);
  });

  it('writes sixels that decode to the picture', async () => {
    const { show } = await graphic('sixel', 30, 5);
    const { width, height, data32 } = decode(sixelsOf(show));
    expect([width, height]).toEqual([150, 100]);
    expect(corners(new Uint8Array(data32.buffer, data32.byteOffset), width, height, 4)).toEqual(fields);
  });

  it('shows half blocks where there is no protocol, and nothing of what is no picture', async () => {
    const terminal = { protocol: 'blocks', colors: 'full', cell: { width: 10, height: 20 } } as const;
    expect(await loadDrawing(path, 30, 10, terminal, 1)).toMatchObject({
      kind: 'text',
      columns: 30,
      lines: Array.from({ length: 10 }, (_, row) =>
        expect.stringContaining(row < 3 ? `38;2;255;0;0;48;2;255;0;0m${'▀'.repeat(12)}` : '▀\u001b[0m'),
      ),
    });
    await writeFile(join(folder, 'broken.png'), 'no picture');
    for (const name of ['broken.png', 'missing.png']) {
      expect(await loadDrawing(join(folder, name), 3, 1, terminal, 1)).toBeUndefined();
    }
  });
});

describe('kittyDrawing', () => {
  it('sends a large picture in pieces of 4096, the last marked', () => {
    const png = Buffer.alloc(7000, 'abc');
    const drawing: Drawing = kittyDrawing(png, 3, 2, 1);
    if (drawing.kind !== 'graphic') throw new Error('no graphic');
    const codes = kittyCodes(drawing.data);
    expect(codes.map(({ keys }) => keys)).toEqual(['a=t,f=100,i=3,q=2,m=1', 'q=2,m=1', 'q=2,m=0']);
    expect(codes.map(({ payload }) => payload.length)).toEqual([4096, 4096, 1144]);
    expect(Buffer.from(codes.map(({ payload }) => payload).join(''), 'base64')).toEqual(png);
  });
});

describe('sixelDrawing', () => {
  it('gives back every pixel of a picture of few colours', async () => {
    // 2 x 7: more than one row of sixels. Sixels know colours in hundredths.
    const pixels = Uint8Array.from(
      Array.from({ length: 14 }, (_, i) => [i % 2 === 0 ? 255 : 0, i > 6 ? 102 : 0, 51, 255]).flat(),
    );
    const drawing = await sixelDrawing(pixels, 2, 7);
    if (drawing.kind !== 'graphic') throw new Error('no graphic');
    const { data32 } = decode(sixelsOf(drawing.show));
    expect([...new Uint8Array(data32.buffer, data32.byteOffset, 56)]).toEqual([...pixels]);
  });
});
