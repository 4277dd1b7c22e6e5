import sharp from 'sharp';

import { type Tensor, toFloat32 } from '../graph/tensor.ts';
import { writeBytes } from '../io/atomic-write.ts';
import { withPngTexts } from './png-text.ts';

/**
 * A picture as a PNG file's bytes.
 * @param image [1, 3, H, W] or [3, H, W], 0 to 1
 * @param texts texts about it by keyword
 */
export async function encodePng(image: Tensor, texts: Readonly<Record<string, string>> = {}): Promise<Uint8Array> {
  const [channels = 0, height = 0, width = 0] = image.shape.slice(-3);
  const planes = toFloat32(image);
  if (channels !== 3 || planes.length !== 3 * height * width) {
    throw new RangeError(`encodePng: [1, 3, H, W] expected, got [${image.shape.join(', ')}]`);
  }
  const plane = height * width;
  const pixels = new Uint8ClampedArray(3 * plane); // rounds, and clamps
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = (planes[c * plane + i] ?? 0) * 255;
  }
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return withPngTexts(png, texts);
}

/**
 * Writes a picture as a PNG file, whole or not at all.
 * @param image [1, 3, H, W], 0 to 1
 * @throws UserError when the file cannot be written
 */
export async function writePicture(
  path: string,
  image: Tensor,
  texts: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeBytes(path, await encodePng(image, texts));
}
