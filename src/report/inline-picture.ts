import sharp from 'sharp';

/** A picture as part of a page. */
export interface InlinePicture {
  /** A data: address with WebP in it. */
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/**
 * A picture file as WebP for a page; undefined where there is none that can be read. One that takes more than
 * `mostBytes` is written again, coarser, and at last half as large.
 * @param side no side is longer, in pixels
 */
export async function inlinePicture(
  path: string,
  side: number,
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<InlinePicture | undefined> {
  const attempts = [
    { quality: 85, side },
    { quality: 65, side },
    { quality: 65, side: side / 2 },
    { quality: 40, side: side / 2 },
  ];
  try {
    let data = Buffer.alloc(0);
    let info = { width: 0, height: 0 };
    for (const { quality, side } of attempts) {
      ({ data, info } = await sharp(path)
        .rotate()
        .resize(side, side, { fit: 'inside', withoutEnlargement: true })
        .webp({ quality })
        .toBuffer({ resolveWithObject: true }));
      if (data.length <= mostBytes) break;
    }
    return { url: `data:image/webp;base64,${data.toString('base64')}`, width: info.width, height: info.height };
  } catch {
    return undefined;
  }
}
