import { openPicture, pictureError, defaultMaxPixels } from '../images/open-picture.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';

/** The longer side of what models get to see: none of them looks at more, and a photo of 50 megapixels takes 150 MB. */
const largestSide = 2048;

/** A large photo keeps so many times the pixels that a model looks at, whose own filter does the rest. */
const margin = 3;

/**
 * The longer side that a picture is decoded with. One of more than 2048 pixels becomes half, a quarter, an eighth ... for
 * models that look at few of them: decoders of JPEG leave work out then, and so does the scaling that follows. Smaller
 * pictures stay whole, and what models get of them is what transformers gives them, to the byte.
 *
 * @param looksAt pixels of the shorter side that the model scales every picture to; undefined where it is not one number
 */
export function sideForModels(
  { width, height }: Pick<RgbPicture, 'width' | 'height'>,
  looksAt: number | undefined,
): number {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  if (longer <= largestSide) return longer;
  const halvings = looksAt === undefined ? 0 : Math.floor(Math.log2(shorter / (margin * looksAt)));
  return Math.min(largestSide, Math.ceil(longer / 2 ** Math.max(0, halvings)));
}

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
