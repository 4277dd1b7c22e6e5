import { z } from 'zod';

import { UserError } from '../errors.ts';
import { type PillowFilter, resizeAsPillow, type RgbPicture } from './pillow-resize.ts';

// Shape letters: H, W pixels of what the model takes.

const side = z.int().min(1);
const sizeSchema = z.union([
  side.transform((shortest_edge) => ({ shortest_edge })),
  z.object({ shortest_edge: side }),
  z.object({ height: side, width: side }),
]);

const schema = z.object({
  size: sizeSchema,
  resample: z.union([z.literal(1), z.literal(2), z.literal(3)]).default(3),
  do_center_crop: z.boolean().default(true),
  crop_size: z
    .union([side.transform((length) => ({ height: length, width: length })), z.object({ height: side, width: side })])
    .optional(),
  rescale_factor: z.number().default(1 / 255),
  image_mean: z.tuple([z.number(), z.number(), z.number()]),
  image_std: z.tuple([z.number(), z.number(), z.number()]),
});

/** How a CLIP wants its pictures. */
export interface ClipPixels {
  readonly height: number;
  readonly width: number;
  /** Pixels of the shorter side that every picture is scaled to. */
  readonly looksAt: number;
  /** float32 [3, H, W], normalised. */
  pixels(picture: RgbPicture): Float32Array;
}

const filterNames: Readonly<Record<1 | 2 | 3, PillowFilter>> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' };

/**
 * Reads a CLIP's preprocessor_config.json: CLIPImageProcessor's scaling of the shorter side (the longer one's length is
 * rounded down), the cut out of the middle, and the normalisation.
 * @throws UserError when it lacks what is needed
 */
export function clipPixels(preprocessorConfig: unknown): ClipPixels {
  const parsed = schema.safeParse(preprocessorConfig);
  if (!parsed.success) {
    throw new UserError(
      `preprocessor_config.json of the CLIP has no ${parsed.error.issues[0]?.path.join('.') ?? 'object'} that is understood; use another CLIP.`,
    );
  }
  const { size, resample, do_center_crop, crop_size, rescale_factor, image_mean, image_std } = parsed.data;
  const crop = do_center_crop ? crop_size : undefined;
  const target = crop ?? ('height' in size ? size : { height: size.shortest_edge, width: size.shortest_edge });

  function resized(picture: RgbPicture): RgbPicture {
    const filter = filterNames[resample];
    if ('height' in size) return resizeAsPillow(picture, size.width, size.height, filter);
    const { width, height } = picture;
    const scale = (length: number): number =>
      length === Math.min(width, height)
        ? size.shortest_edge
        : Math.trunc((size.shortest_edge * length) / Math.min(width, height));
    return resizeAsPillow(picture, scale(width), scale(height), filter);
  }

  return {
    ...target,
    looksAt: 'height' in size ? Math.max(size.height, size.width) : size.shortest_edge,
    pixels(picture) {
      const { data, width, height } = resized(picture);
      const top = Math.floor((height - target.height) / 2);
      const left = Math.floor((width - target.width) / 2);
      const area = target.height * target.width;
      const out = new Float32Array(3 * area);
      for (const [channel, mean] of image_mean.entries()) {
        const std = image_std[channel] ?? 1;
        for (let y = 0; y < target.height; y++) {
          const from = ((top + y) * width + left) * 3 + channel;
          const to = channel * area + y * target.width;
          const outside = top + y < 0 || top + y >= height;
          for (let x = 0; x < target.width; x++) {
            // Outside of the picture, where the cut is larger than it, CLIPImageProcessor has black.
            const value = outside || left + x < 0 || left + x >= width ? 0 : (data[from + 3 * x] ?? 0);
            out[to + x] = (value * rescale_factor - mean) / std;
          }
        }
      }
      return out;
    },
  };
}
