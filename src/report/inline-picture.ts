import sharp from 'sharp';

/** A picture as part of a page. */
export interface InlinePicture {
  /** A data: address with WebP in it. */
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** A picture file as WebP for a page, no side longer than `side` pixels; undefined where there is none that can be read. */
export async function inlinePicture(path: string, side: number): Promise<InlinePicture | undefined> {
  try {
    const { data, info } = await sharp(path)
      .rotate()
      .resize(side, side, { fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 85 })
      .toBuffer({ resolveWithObject: true });
    return { url: `data:image/webp;base64,${data.toString('base64')}`, width: info.width, height: info.height };
  } catch {
    return undefined;
  }
}
