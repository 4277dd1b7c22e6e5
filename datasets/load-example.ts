import { pMapIterable } from 'p-map';
import type { Tensor } from '../src/graph/tensor.ts';
import type { PictureLimits } from '../src/images/open-picture.ts';
import { PictureError } from '../src/images/picture-error.ts';
import { renderMask, renderPicture } from '../src/images/render-picture.ts';
import { latentCell } from './buckets.ts';
import { decodeConcurrency } from './decode-concurrency.ts';
import { readPictureFile } from './picture-file.ts';
import type { Sample } from './sample.ts';

// Shape letters: H, W pixels; h, w = H / 32, W / 32 latents.

/** A sample's pixels. */
export interface LoadedExample {
  readonly sample: Sample;
  /** float32 [3, H, W] in [-1, 1]. */
  readonly pixels: Tensor;
  /** float32 [1, h, w] in [0, 1], what the loss is multiplied by; absent where all of the picture counts. */
  readonly mask?: Tensor;
}

/** Reads a file that must still be what it was when the data set was scanned, or its caches would lie. */
async function readUnchanged(path: string, contentHash: string): Promise<Uint8Array> {
  const file = await readPictureFile(path);
  if (file.contentHash !== contentHash) {
    throw new PictureError('changed', 'It has changed since the data set was read; start again.');
  }
  return file.bytes;
}

async function named<T>(id: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    throw new PictureError(error.problem, `${id}: ${error.message}`, { cause: error });
  }
}

/**
 * Decodes the part of a picture that a sample shows, and its mask.
 * @throws PictureError naming the picture, when it is gone, has changed or cannot be decoded
 */
export async function loadExample(sample: Sample, limits: PictureLimits = {}): Promise<LoadedExample> {
  const { example, placement } = sample;
  const { picture, mask, dataset, id } = example;
  return await named(id, async () => {
    const bytes = await readUnchanged(picture.path, picture.contentHash);
    const { background } = dataset;
    if (mask?.kind === 'alpha') {
      const { pixels, alpha } = await renderPicture(bytes, placement, { ...limits, background, alphaCell: latentCell });
      return { sample, pixels, ...(alpha && { mask: alpha }) };
    }
    const { pixels } = await renderPicture(bytes, placement, { ...limits, background });
    if (mask === undefined) return { sample, pixels };
    const maskBytes = await readUnchanged(mask.path, mask.contentHash);
    return { sample, pixels, mask: await renderMask(maskBytes, placement, { ...limits, cell: latentCell }) };
  });
}

/**
 * Decodes samples ahead of their use, several at a time, in order: at most a handful wait, so memory does not grow with
 * the number of samples.
 */
export function loadExamples(samples: Iterable<Sample>, limits: PictureLimits = {}): AsyncIterable<LoadedExample> {
  return pMapIterable(samples, (sample) => loadExample(sample, limits), {
    concurrency: decodeConcurrency,
    backpressure: decodeConcurrency + 2,
  });
}
