import { UserError } from '../src/errors.ts';
import type { Size } from '../src/images/placement.ts';

// H, W: a bucket's pixels; its latents are H / 32 x W / 32.

/** Sana's autoencoder makes one latent of 32 x 32 pixels, so every side is a multiple of it. */
export const latentCell = 32;

/** One size that pictures are brought to; a batch holds pictures of one bucket. */
export interface Bucket {
  /** The base resolution whose area it has: 256, 512, 1024 ... */
  readonly resolution: number;
  /** The H/W by which pictures are assigned, as the table names it. */
  readonly ratio: number;
  readonly height: number;
  readonly width: number;
}

// ASPECT_RATIO_1024 of NVlabs/Sana (diffusion/data/datasets/utils.py): H/W, H, W. Trained on, not computed: 0.52 has no
// mirror, and the ratios are rounded to two digits.
const ratios1024: readonly (readonly [ratio: number, height: number, width: number])[] = [
  [0.25, 512, 2048],
  [0.26, 512, 1984],
  [0.27, 512, 1920],
  [0.28, 512, 1856],
  [0.32, 576, 1792],
  [0.33, 576, 1728],
  [0.35, 576, 1664],
  [0.4, 640, 1600],
  [0.42, 640, 1536],
  [0.48, 704, 1472],
  [0.5, 704, 1408],
  [0.52, 704, 1344],
  [0.57, 768, 1344],
  [0.6, 768, 1280],
  [0.68, 832, 1216],
  [0.72, 832, 1152],
  [0.78, 896, 1152],
  [0.82, 896, 1088],
  [0.88, 960, 1088],
  [0.94, 960, 1024],
  [1, 1024, 1024],
  [1.07, 1024, 960],
  [1.13, 1088, 960],
  [1.21, 1088, 896],
  [1.29, 1152, 896],
  [1.38, 1152, 832],
  [1.46, 1216, 832],
  [1.67, 1280, 768],
  [1.75, 1344, 768],
  [2, 1408, 704],
  [2.09, 1472, 704],
  [2.4, 1536, 640],
  [2.5, 1600, 640],
  [2.89, 1664, 576],
  [3, 1728, 576],
  [3.11, 1792, 576],
  [3.62, 1856, 512],
  [3.75, 1920, 512],
  [3.88, 1984, 512],
  [4, 2048, 512],
];

/** The multiples of 32 just below and above a length. */
function neighbours(length: number): readonly number[] {
  const below = Math.max(latentCell, Math.floor(length / latentCell) * latentCell);
  return below === length ? [below] : [below, below + latentCell];
}

/** Of the sizes in multiples of 32 around H x W, the one that keeps shape and area best. */
function roundedSize(height: number, width: number): Size {
  const cost = (size: Size): number =>
    Math.abs(Math.log(((size.height / size.width) * width) / height)) +
    Math.abs(Math.log((size.height * size.width) / (height * width)));
  const sizes = neighbours(height).flatMap((h) => neighbours(width).map((w) => ({ height: h, width: w })));
  return sizes.reduce((best, size) => (cost(size) < cost(best) ? size : best));
}

/**
 * Sana's buckets at a base resolution, flattest first. 512, 1024, 2048 and 4096 are the tables Sana was trained with
 * (1024's halved, doubled and times four); any other multiple of 32 scales the table, rounds sides to multiples of 32,
 * keeps one bucket a size and takes the ratio it really has.
 * @param square one bucket, resolution x resolution, for runs as diffusers' scripts do them
 * @throws UserError for a resolution that is not a multiple of 32, or too small
 */
export function bucketsFor(resolution: number, { square = false }: { readonly square?: boolean } = {}): Bucket[] {
  if (!Number.isSafeInteger(resolution) || resolution < 2 * latentCell || resolution % latentCell !== 0) {
    throw new UserError(
      `The resolution is ${resolution}; use a multiple of ${latentCell} from ${2 * latentCell}, such as 512 or 1024.`,
    );
  }
  if (square) return [{ resolution, ratio: 1, height: resolution, width: resolution }];
  const scale = resolution / 1024;
  if ([512, 1024, 2048, 4096].includes(resolution)) {
    return ratios1024.map(([ratio, height, width]) => ({
      resolution,
      ratio,
      height: height * scale,
      width: width * scale,
    }));
  }
  const bySize = new Map<string, Bucket>();
  for (const [, fullHeight, fullWidth] of ratios1024) {
    const { height, width } = roundedSize(fullHeight * scale, fullWidth * scale);
    bySize.set(`${height}x${width}`, { resolution, ratio: height / width, height, width });
  }
  return [...bySize.values()].sort((a, b) => a.ratio - b.ratio || a.width * a.height - b.width * b.height);
}

/**
 * The bucket whose ratio is nearest to the picture's H/W, the flatter of two equally near, as get_closest_ratio of
 * NVlabs/Sana chooses.
 * @throws RangeError when there are no buckets
 */
export function nearestBucket(buckets: readonly Bucket[], picture: Size): Bucket {
  const ratio = picture.height / picture.width;
  const [first, ...rest] = buckets;
  if (first === undefined) throw new RangeError('nearestBucket: there are no buckets to choose from');
  return rest.reduce((best, b) => (Math.abs(b.ratio - ratio) < Math.abs(best.ratio - ratio) ? b : best), first);
}

/** A bucket's name, `512: 448 x 576` (height x width); two buckets are the same if their names are. */
export function bucketName({ resolution, height, width }: Bucket): string {
  return `${resolution}: ${height} x ${width}`;
}
