import { place } from '../src/images/placement.ts';
import type { CropChoice, Placement } from '../src/images/placement.ts';
import { createRandom } from '../src/random.ts';
import type { Random } from '../src/random.ts';
import { bucketName } from './buckets.ts';
import type { Bucket } from './buckets.ts';
import { drawCaption, firstChoice } from './caption-text.ts';
import type { Example } from './example.ts';

/** One use of a picture: which part of it, and with which text. All that a cache or a trainer needs is in it. */
export interface Sample {
  readonly example: Example;
  readonly bucket: Bucket;
  readonly placement: Placement;
  /** What the model reads; "" when the caption was dropped. */
  readonly text: string;
  /** Whether the caption was dropped: the unconditional prompt, which has no CHI. */
  readonly dropped: boolean;
  /** What this sample's loss is multiplied by: the data set's weight, times the prior's for class pictures. */
  readonly weight: number;
  /** The epoch that its draws are of; with 'carry' it may be one before the batch's. */
  readonly epoch: number;
}

/** A picture at one resolution, for one of its repeats. */
export interface Use {
  readonly example: Example;
  readonly bucket: Bucket;
  readonly repeat: number;
}

function randomCrop(random: Random): CropChoice {
  return (resize, target) => ({
    top: random.fork('top').integer(resize.height - target.height + 1),
    left: random.fork('left').integer(resize.width - target.width + 1),
  });
}

// Bicubic up to 1024, Lanczos from 2048 on, as Sana's own data sets.
const lanczosFrom = 2048;

function kernelFor({ resolution }: Bucket): Placement['kernel'] {
  return resolution >= lanczosFrom ? 'lanczos' : 'bicubic';
}

/** The draws of one use, from a stream of its own: they depend on no other picture. */
export function drawSample(
  { example, bucket, repeat }: Use,
  passRandom: Random,
  epoch: number,
  weight: number,
): Sample {
  const { dataset, picture, captions } = example;
  const random = passRandom.fork(`use ${repeat} of ${example.id} in ${bucketName(bucket)}`);
  const { text, dropped } = drawCaption(captions, dataset.captions, random.fork('caption'));
  const placement = place(picture, bucket, {
    ...(dataset.crop === 'random' && { crop: randomCrop(random.fork('crop')) }),
    flip: dataset.flip && random.fork('flip').uniform() < 0.5,
    kernel: kernelFor(bucket),
  });
  return { example, bucket, placement, text, dropped, weight: weight * dataset.weight, epoch };
}

/**
 * An example as it is, for validation and audits: centre crop, not mirrored, its first caption, nothing dropped.
 * @param bucket one of the example's own
 */
export function plainSample(example: Example, bucket: Bucket): Sample {
  const rules = { ...example.dataset.captions, choose: firstChoice, shuffleTags: false, dropout: 0 };
  const { text } = drawCaption(example.captions, rules, createRandom('plain'));
  const placement = place(example.picture, bucket, { kernel: kernelFor(bucket) });
  return { example, bucket, placement, text, dropped: false, weight: example.dataset.weight, epoch: 0 };
}
