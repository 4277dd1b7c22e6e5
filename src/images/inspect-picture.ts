import type { Metadata } from 'sharp';
import { checkFormat, defaultMaxPixels, openPicture, pictureError } from './open-picture.ts';
import type { PictureFormat, PictureLimits } from './open-picture.ts';

/** What is known of a picture once it has been decoded: the proof that it can be. */
export interface PictureFacts {
  readonly format: PictureFormat;
  /** Pixels, once it is upright. */
  readonly height: number;
  readonly width: number;
  /** The EXIF orientation, 1 to 8, that was undone; 1 for none. */
  readonly orientation: number;
  /** Frames or pages; only the first is used. */
  readonly pages: number;
  /** Whether it has an alpha channel. */
  readonly hasAlpha: boolean;
  /** Whether anything in it is transparent. */
  readonly transparent: boolean;
  /** Its own colours when they are not 8-bit sRGB, for people: `cmyk`, `rgb16`, `b-w`, `sRGB with a profile` ... */
  readonly colours: string;
  /** A 16 x 16 grey miniature, a byte a pixel, for comparing pictures. */
  readonly thumbnail: Uint8Array;
}

/** The side of a thumbnail. */
export const thumbnailSide = 16;

async function readMetadata(bytes: Uint8Array, limits: PictureLimits): Promise<Metadata> {
  const metadata = await openPicture(bytes, limits).metadata();
  checkFormat(metadata);
  return metadata;
}

/**
 * Decodes a picture once, small, to know that it is whole and what it is.
 * @throws PictureError when it is damaged, too large or in a format that is not read
 */
export async function inspectPicture(bytes: Uint8Array, limits: PictureLimits = {}): Promise<PictureFacts> {
  try {
    const metadata = await readMetadata(bytes, limits);
    const { data, info } = await openPicture(bytes, limits)
      .autoOrient()
      .resize({ width: thumbnailSide, height: thumbnailSide, fit: 'fill', kernel: 'cubic' })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const thumbnail = new Uint8Array(thumbnailSide * thumbnailSide);
    let transparent = false;
    for (let i = 0; i < thumbnail.length; i++) {
      const at = i * info.channels;
      const alpha = data[at + 3] ?? 255;
      if (alpha < 255) transparent = true;
      const grey = 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
      thumbnail[i] = Math.round((grey * alpha + 255 * (255 - alpha)) / 255); // on white
    }
    const { width, height } = metadata.autoOrient;
    return {
      format: checkFormat(metadata),
      height,
      width,
      orientation: metadata.orientation ?? 1,
      pages: metadata.pages ?? 1,
      hasAlpha: metadata.hasAlpha,
      transparent,
      colours: metadata.space,
      thumbnail,
    };
  } catch (error) {
    throw pictureError(error, limits.maxPixels ?? defaultMaxPixels);
  }
}
