import sharp from 'sharp';
import type { Metadata, Sharp } from 'sharp';
import { quoted } from '../io/json.ts';
import { PictureError } from './picture-error.ts';

// A picture is one thread's work and several are read at a time: that takes less memory, and no more time, than several
// threads on one picture. libvips' cache of operations would keep the last pictures in memory for nothing, as none is
// read twice in a row.
sharp.concurrency(1);
sharp.cache(false);

/** What is read. */
export const pictureFormats = ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const;

/** A format that is read. */
export type PictureFormat = (typeof pictureFormats)[number];

/** The most pixels a picture may have by default, 16383 x 16383: a picture larger than that is an attack or a mistake. */
export const defaultMaxPixels = 16383 ** 2;

/** Limits on what is decoded. */
export interface PictureLimits {
  /** Pixels, width times height. @default 16383 x 16383 */
  readonly maxPixels?: number;
}

const remedies = 'convert it to jpeg, png, webp, avif, tiff or gif';

/** The decoder's own words, one line of them, for a sentence. */
function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n').find((part) => part.trim() !== '') ?? 'no reason given';
  return quoted(line.trim());
}

/** A decoder's error as a sentence about the picture. */
export function pictureError(error: unknown, maxPixels: number): PictureError {
  if (error instanceof PictureError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/exceeds pixel limit/i.test(text)) {
    return new PictureError('huge', `It has more than ${maxPixels} pixels; scale it down.`, { cause: error });
  }
  if (/unsupported image format/i.test(text)) {
    return new PictureError('unsupported', `It is no picture, or in a format that is not read; ${remedies}.`, {
      cause: error,
    });
  }
  return new PictureError('unreadable', `It is damaged or incomplete (${reason(error)}); save or download it again.`, {
    cause: error,
  });
}

// The brands of HEIC (ISO/IEC 23008-12, annex B.4), AVIF's sibling for phones, whose patents leave it without a decoder.
const heicBrands = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs'];

function isHeic(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(4, 12)).toString('latin1');
  return start.startsWith('ftyp') && heicBrands.includes(start.slice(4));
}

/** Starts reading a picture; nothing is decoded until its output is asked for. Only the first frame or page is read. */
export function openPicture(bytes: Uint8Array, { maxPixels = defaultMaxPixels }: PictureLimits = {}): Sharp {
  if (bytes.byteLength === 0) throw new PictureError('unreadable', 'It is empty (0 bytes); save or download it again.');
  if (isHeic(bytes)) {
    throw new PictureError('unsupported', `It is in the HEIC format, for which no free decoder exists; ${remedies}.`);
  }
  // 'error' refuses files that end too early, whose rest would be grey; 'warning' would refuse odd metadata too.
  return sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels, sequentialRead: true });
}

/** A picture's format, checked to be one that is read. */
export function checkFormat(metadata: Metadata): PictureFormat {
  // The decoder calls AVIF by its container's name.
  const name: string = metadata.format === 'heif' && metadata.compression === 'av1' ? 'avif' : metadata.format;
  const format = pictureFormats.find((known) => known === name);
  if (format === undefined) {
    throw new PictureError('unsupported', `It is in the ${quoted(name)} format, which is not read; ${remedies}.`);
  }
  return format;
}
