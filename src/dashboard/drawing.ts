import ansiEscapes from 'ansi-escapes';
import sharp from 'sharp';

import { type ColorDepth, pictureRows } from './picture-rows.ts';
import type { CellSize, PictureProtocol } from './terminal-answers.ts';

/** What a terminal is and can, as far as pictures go. */
export interface PictureTerminal {
  readonly protocol: PictureProtocol;
  readonly colors: ColorDepth;
  /** A character's size in pixels. */
  readonly cell: CellSize;
}

/** A picture as a terminal is given it: rows of characters, or what a graphics protocol writes. */
export type Drawing =
  | { readonly kind: 'text'; readonly lines: readonly string[]; /** Of every line. */ readonly columns: number }
  | {
      readonly kind: 'graphic';
      /** Sent once, before it is first shown. */
      readonly data: string;
      /** Shows it with the cursor at its upper left corner. */
      readonly show: string;
      /** Takes it away; protocols whose pictures lie in the characters' cells need none, for text goes over them. */
      readonly hide: string;
      /** Forgets `data`. */
      readonly free: string;
    };

/** Bytes of base64 in one escape code of kitty's protocol. */
const kittyChunk = 4096;

/**
 * A picture by kitty's graphics protocol (https://sw.kovidgoyal.net/kitty/graphics-protocol/): `a=t` sends, `a=p` places
 * it in `c` by `r` cells without moving the cursor (`C=1`), `a=d` takes it away; `q=2` asks for no answers, which would
 * come as keys.
 */
export function kittyDrawing(png: Buffer, id: number, columns: number, rows: number): Drawing {
  const code = (keys: string, payload = ''): string => `\u001b_G${keys}${payload && `;${payload}`}\u001b\\`;
  const base64 = png.toString('base64');
  const chunks = base64.match(new RegExp(`.{1,${kittyChunk}}`, 'g')) ?? [];
  const data = chunks.map((chunk, i) => {
    const more = `m=${i < chunks.length - 1 ? 1 : 0}`;
    return code(i === 0 ? `a=t,f=100,i=${id},q=2,${more}` : `q=2,${more}`, chunk);
  });
  return {
    kind: 'graphic',
    data: data.join(''),
    show: code(`a=p,i=${id},p=1,c=${columns},r=${rows},C=1,q=2`),
    hide: code(`a=d,d=i,i=${id},q=2`),
    free: code(`a=d,d=I,i=${id},q=2`),
  };
}

/** A picture by iTerm2's protocol (https://iterm2.com/documentation-images.html), stretched to its cells. */
function iterm2Drawing(png: Buffer, columns: number, rows: number): Drawing {
  const show = ansiEscapes.image(png, { width: columns, height: rows, preserveAspectRatio: false });
  return { kind: 'graphic', data: '', show, hide: '', free: '' };
}

/**
 * A picture as sixels (https://vt100.net/docs/vt3xx-gp/chapter14.html), whose 256 colours were chosen and dithered by
 * sharp, in a thread of its own.
 * @param pixels RGBA [H, W, 4]
 */
export async function sixelDrawing(pixels: Uint8Array, width: number, height: number): Promise<Drawing> {
  const { FINALIZER, introducer, sixelEncode, toRGBA8888 } = await import('sixel');
  const palette = new Set<number>();
  for (let i = 0; i < pixels.length; i += 4) {
    palette.add(toRGBA8888(pixels[i] ?? 0, pixels[i + 1] ?? 0, pixels[i + 2] ?? 0, 255));
  }
  const show = introducer() + sixelEncode(pixels, width, height, [...palette]) + FINALIZER;
  return { kind: 'graphic', data: '', show, hide: '', free: '' };
}

/**
 * Reads a picture file to be shown in a box of characters; undefined where it cannot be read. Decoding takes place in
 * another thread (sharp's), so that keys are answered meanwhile.
 * @param id of the picture on this terminal
 */
export async function loadDrawing(
  path: string,
  columns: number,
  rows: number,
  { protocol, colors, cell }: PictureTerminal,
  id: number,
): Promise<Drawing | undefined> {
  try {
    const picture = sharp(path).toColourspace('srgb');
    if (protocol === 'blocks') {
      const { data, info } = await picture
        .flatten()
        .resize(columns, rows * 2, { fit: 'inside' })
        .raw()
        .toBuffer({ resolveWithObject: true });
      // An odd last row has nothing below it.
      const even = data.subarray(0, Math.floor(info.height / 2) * 2 * info.width * 3);
      return { kind: 'text', lines: pictureRows(even, info.width, colors), columns: info.width };
    }
    const box = { width: columns * cell.width, height: rows * cell.height };
    if (protocol === 'sixel') {
      const png = await picture
        .flatten()
        .resize({ ...box, fit: 'inside' })
        .png({ palette: true, colours: 256, effort: 1, compressionLevel: 1 })
        .toBuffer();
      const { data, info } = await sharp(png).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      return await sixelDrawing(data, info.width, info.height);
    }
    // A whole number of cells is what these two fill: what of them the picture does not cover is transparent.
    const { info, data } = await picture
      .ensureAlpha()
      .resize({ ...box, fit: 'inside' })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const [wide, high] = [Math.ceil(info.width / cell.width), Math.ceil(info.height / cell.height)];
    const { width, height, channels } = info;
    const png = await sharp(data, { raw: { width, height, channels } })
      .extend({
        right: wide * cell.width - width,
        bottom: high * cell.height - height,
        background: { r: 0, g: 0, b: 0, alpha: 0 },
      })
      .png({ compressionLevel: 6 })
      .toBuffer();
    return protocol === 'kitty' ? kittyDrawing(png, id, wide, high) : iterm2Drawing(png, wide, high);
  } catch {
    return undefined;
  }
}
