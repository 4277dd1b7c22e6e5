import type { Cache } from '../../datasets/cache.ts';
import type { Batch } from '../../datasets/plan-epoch.ts';
import type { Sample } from '../../datasets/sample.ts';
import type { NamedBatch } from '../../trainers/lora.ts';
import { lossWeight } from '../flow/objective.ts';
import type { createTimestepSampler, TimestepSampling } from '../flow/timestep-sampling.ts';
import { elementCount, float32, toFloat32 } from '../graph/tensor.ts';
import { padPromptEmbeds } from '../models/encode-prompts.ts';
import { stackTensors } from '../models/sana-feeds.ts';
import type { Random } from '../random.ts';
import { cachedPrompt, cachedSample, type CacheModels, type CacheRepair, promptOf } from './fill-cache.ts';

/** What batches are made with. */
export interface BatchMaker {
  readonly cache: Cache;
  readonly models: CacheModels;
  readonly repair: CacheRepair;
  readonly scalingFactor: number;
  /** What pixels outside a mask count, by data set. */
  readonly unmaskedWeight: (dataset: string) => number;
}

type Latents = ReturnType<typeof float32>;

async function cachedLatents(
  sample: Sample,
  { cache, models, repair, scalingFactor }: BatchMaker,
): Promise<{ latents: Latents; mask?: Latents }> {
  const { latents, mask } = await cachedSample(cache, sample, models, repair);
  return {
    latents: float32(
      [1, ...latents.shape],
      toFloat32(latents).map((value) => value * scalingFactor),
    ),
    ...(mask && { mask: float32([1, ...mask.shape], toFloat32(mask)) }),
  };
}

/** The clean latents, texts and masks of samples of one size, as a training batch has them. */
async function loadSamples(
  samples: readonly Sample[],
  maker: BatchMaker,
): Promise<Pick<NamedBatch, 'ids' | 'latents' | 'promptEmbeds' | 'promptAttentionMask' | 'lossMask'>> {
  const loaded = await Promise.all(samples.map((sample) => cachedLatents(sample, maker)));
  const prompts = await Promise.all(
    samples.map(async ({ text, dropped }) => ({
      promptEmbeds: await cachedPrompt(maker.cache, promptOf(text, dropped, maker.models), maker.models, maker.repair),
    })),
  );
  const { promptEmbeds, promptAttentionMask } = padPromptEmbeds(prompts);
  const [, , height = 1, width = 1] = loaded[0]?.latents.shape ?? [];
  const everywhere = float32([1, 1, height, width], new Float32Array(height * width).fill(1));
  const masks = loaded.map(({ mask }, i) => {
    const outside = maker.unmaskedWeight(samples[i]?.example.dataset.name ?? '');
    return mask
      ? float32(
          [1, 1, height, width],
          mask.data.map((value) => outside + (1 - outside) * value),
        )
      : everywhere;
  });
  return {
    ids: samples.map(({ example }) => example.id),
    latents: stackTensors(loaded.map(({ latents }) => latents)),
    promptEmbeds,
    promptAttentionMask,
    ...(loaded.some(({ mask }) => mask) && { lossMask: stackTensors(masks) }),
  };
}

/** Noise levels and their weights. */
export interface NoiseOptions {
  readonly sampler: ReturnType<typeof createTimestepSampler>;
  readonly sampling: TimestepSampling;
}

/**
 * A planned batch with its noise. Noise and noise levels come from generators named for the batch's number, so that a
 * resumed run draws what the uninterrupted one would have.
 *
 * @param random the run's generator of noise, @param index the micro-batch's number in the run
 */
export async function trainingBatch(
  batch: Batch,
  index: number,
  maker: BatchMaker,
  { sampler, sampling }: NoiseOptions,
  random: Random,
): Promise<NamedBatch> {
  const own = random.fork(`micro-batch ${index}`);
  const loaded = await loadSamples(batch.samples, maker);
  const { shape } = loaded.latents;
  const drawn = batch.samples.map(() => sampler(own));
  // The step takes the mean over the batch; the loss is the instances' mean plus the weighted mean of the class.
  const share = batch.samples.length / batch.instances;
  return {
    ...loaded,
    noise: float32(shape, own.fork('noise').normals(elementCount(shape))),
    sigmas: drawn.map(({ sigma }) => sigma),
    timesteps: drawn.map(({ timestep }) => timestep),
    lossWeights: batch.samples.map(({ weight }, i) => weight * share * lossWeight(sampling, drawn[i]?.sigma ?? 0)),
  };
}

/** A sample at a given noise level, with noise that is always the same for it: what validation measures. */
export async function validationBatch(
  sample: Sample,
  sigma: number,
  maker: BatchMaker,
  random: Random,
): Promise<NamedBatch> {
  const loaded = await loadSamples([sample], maker);
  const noise = random.fork(`${sample.example.id} at ${sigma}`).normals(elementCount(loaded.latents.shape));
  return { ...loaded, noise: float32(loaded.latents.shape, noise), sigmas: [sigma] };
}
