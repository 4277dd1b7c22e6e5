import { openPicture, pictureError, defaultMaxPixels } from '../images/open-picture.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';

/** The longer side of what models get to see: none of them looks at more, and a photo of 50 megapixels takes 150 MB. */
export const largestSide = 2048;

/**
 * Decodes a picture for captioners and CLIP: upright, sRGB, on white, at most `side` pixels long.
 * @throws PictureError when it cannot be decoded
 */
export async function decodeForModels(bytes: Uint8Array, side = largestSide): Promise<RgbPicture> {
  try {
    const { data, info } = await openPicture(bytes)
      .autoOrient()
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true, fastShrinkOnLoad: false })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    if (channels === 3) return { data, width, height };
    // A grey picture's one channel is all three.
    const grey = new Uint8Array(width * height * 3);
    for (let i = 0; i < grey.length; i++) grey[i] = data[Math.floor(i / 3) * channels] ?? 0;
    return { data: grey, width, height };
  } catch (error) {
    throw pictureError(error, defaultMaxPixels);
  }
}

/** A picture as a JPEG file, as servers take it. */
export async function encodeJpeg(bytes: Uint8Array, side: number): Promise<Uint8Array> {
  try {
    return await openPicture(bytes)
      .autoOrient()
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .jpeg({ quality: 90 })
      .toBuffer();
  } catch (error) {
    throw pictureError(error, defaultMaxPixels);
  }
}
