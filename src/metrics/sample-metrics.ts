import type { MeanMetrics, SampleMetrics } from '../events.ts';
import { cosine } from './cosine.ts';

/** A sample and what it is compared with, as embeddings of one CLIP, [D] each. */
export interface EmbeddedSample extends Pick<SampleMetrics, 'index' | 'prompt' | 'seed' | 'role'> {
  readonly picture: Float32Array;
  readonly text: Float32Array;
  /** Training pictures, one or more. */
  readonly references: readonly Float32Array[];
  /** The picture of the same prompt and seed before training. */
  readonly start?: Float32Array;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/**
 * CLIP-I and CLIP-T of a sample as DreamBooth measures (arXiv 2208.12242, section 4.2): the mean of the cosines with
 * every training picture, and the cosine with the prompt. Of a class prompt the cosine with step 0's picture too.
 */
export function sampleMetrics({ picture, text, references, start, ...sample }: EmbeddedSample): SampleMetrics {
  return {
    ...sample,
    clipI: mean(references.map((reference) => cosine(picture, reference))),
    clipT: cosine(picture, text),
    ...(start && sample.role === 'class' && { clipIToStart: cosine(picture, start) }),
  };
}

/** Means over the prompts of a role; undefined where there is none. */
export function meanMetrics(samples: readonly SampleMetrics[], role: SampleMetrics['role']): MeanMetrics | undefined {
  const own = samples.filter((sample) => sample.role === role);
  if (own.length === 0) return undefined;
  const toStart = own.flatMap(({ clipIToStart }) => clipIToStart ?? []);
  return {
    clipI: mean(own.map(({ clipI }) => clipI)),
    clipT: mean(own.map(({ clipT }) => clipT)),
    ...(toStart.length === own.length && { clipIToStart: mean(toStart) }),
  };
}
