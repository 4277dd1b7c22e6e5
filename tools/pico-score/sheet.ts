import sharp from 'sharp';

import { writeBytes } from '../../src/io/atomic-write.ts';
import type { Pixels } from './pixels.ts';

/** How many pictures a sheet shows at most, and in a row. */
const [most, columns] = [64, 8];

/** Writes the first 64 pictures side by side, in full size, as one PNG file. All are of the first one's size. */
export async function writeSheet(path: string, pictures: readonly Pixels[]): Promise<void> {
  const shown = pictures.slice(0, most);
  const { height = 0, width = 0 } = shown[0] ?? {};
  const sheetWidth = width * Math.min(columns, shown.length);
  const sheetHeight = height * Math.ceil(shown.length / columns);
  const sheet = new Uint8ClampedArray(3 * sheetWidth * sheetHeight).fill(255);
  for (const [index, { data }] of shown.entries()) {
    const [top, left] = [height * Math.floor(index / columns), width * (index % columns)];
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const to = 3 * ((top + row) * sheetWidth + left + column);
        for (let c = 0; c < 3; c++) sheet[to + c] = data[(c * height + row) * width + column] ?? 0;
      }
    }
  }
  const raw = { width: sheetWidth, height: sheetHeight, channels: 3 } as const;
  await writeBytes(path, await sharp(sheet, { raw }).png().toBuffer());
}
