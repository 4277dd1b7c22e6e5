import type { Cache } from '../../datasets/cache.ts';
import { latentKey, textKey } from '../../datasets/cache-keys.ts';
import { loadExamples } from '../../datasets/load-example.ts';
import type { Sample } from '../../datasets/sample.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import { float32, type Tensor } from '../graph/tensor.ts';
import { createDcAe, type DcAe } from '../models/dc-ae.ts';
import { type Prompt, type PromptEncoder, streamEncodedPrompts } from '../models/encode-prompts.ts';

/** What of the models decides a cache entry. */
export interface CacheModels {
  /** Key of the autoencoder's files. */
  readonly vaeKey: string;
  /** Key of the text encoder's and tokenizer's files. */
  readonly textKey: string;
  /** The instruction before captions; null for none. */
  readonly chi: readonly string[] | null;
  readonly maxSequenceLength: number;
}

/** The cache key of a sample's latents. */
export function latentKeyOf(sample: Sample, { vaeKey }: CacheModels): string {
  return latentKey(sample, { modelKey: vaeKey, dtype: 'float32' });
}

/** A text as the encoder gets it: an unconditional one has no instruction. */
export function promptOf(text: string, dropped: boolean, { chi }: Pick<CacheModels, 'chi'>): Exclude<Prompt, string> {
  return { prompt: text, chi: dropped ? null : chi };
}

/** The cache key of a prompt's embeddings. */
export function promptKeyOf({ prompt, chi }: Exclude<Prompt, string>, models: CacheModels): string {
  return textKey({
    text: prompt,
    chi: chi === null ? null : chi.join('\n'),
    modelKey: models.textKey,
    maxSequenceLength: models.maxSequenceLength,
    dtype: 'float32',
  });
}

/**
 * Encodes the prompts that the cache lacks. The text encoder is opened only if there are any, and nothing of it stays
 * in memory afterwards.
 */
export async function* cachePrompts(
  prompts: readonly Exclude<Prompt, string>[],
  {
    engine,
    cache,
    models,
    loadEncoder,
    signal,
  }: {
    engine: Engine;
    cache: Cache;
    models: CacheModels;
    loadEncoder: () => Promise<PromptEncoder>;
    signal?: AbortSignal;
  },
): AsyncGenerator<TrainEvent> {
  const missing = new Map<string, Exclude<Prompt, string>>();
  for (const prompt of prompts) {
    const key = promptKeyOf(prompt, models);
    if (!missing.has(key) && !(await cache.has(key))) missing.set(key, prompt);
  }
  if (missing.size === 0) return;
  const what = missing.size === 1 ? 'caption' : 'captions';
  yield { kind: 'stage', stage: 'cache', done: 0, total: missing.size, what };
  const keys = [...missing.keys()];
  let done = 0;
  const stream = streamEncodedPrompts(engine, await loadEncoder(), [...missing.values()], {
    maxSequenceLength: models.maxSequenceLength,
    ...(signal && { signal }),
  });
  for await (const { index, promptEmbeds, truncated } of stream) {
    const key = keys[index];
    if (key === undefined) throw new RangeError(`cachePrompts: no prompt ${index}`);
    await cache.put(key, [['prompt_embeds', promptEmbeds]]);
    if (truncated > 0) {
      yield {
        kind: 'warning',
        message: `A caption is ${truncated} tokens too long, and its end is not seen: "${missing.get(key)?.prompt.slice(0, 80) ?? ''}..."`,
      };
    }
    yield { kind: 'stage', stage: 'cache', done: ++done, total: missing.size, what };
  }
}

/** Encodes the pictures whose latents the cache lacks; decoding goes on beside the autoencoder. */
export async function* cacheLatents(
  samples: Iterable<Sample>,
  {
    engine,
    cache,
    models,
    loadVae,
    signal,
  }: { engine: Engine; cache: Cache; models: CacheModels; loadVae: () => Promise<DcAe>; signal?: AbortSignal },
): AsyncGenerator<TrainEvent> {
  const missing = new Map<string, Sample>();
  for (const sample of samples) {
    const key = latentKeyOf(sample, models);
    if (!missing.has(key) && !(await cache.has(key))) missing.set(key, sample);
  }
  if (missing.size === 0) return;
  const what = missing.size === 1 ? 'picture' : 'pictures';
  const vae = createDcAe(engine, await loadVae());
  try {
    yield { kind: 'stage', stage: 'cache', done: 0, total: missing.size, what };
    let done = 0;
    for await (const { sample, pixels, mask } of loadExamples(missing.values())) {
      signal?.throwIfAborted();
      const latents = await vae.encode({ ...pixels, shape: [1, ...pixels.shape] });
      const tensors: [string, Tensor][] = [['latents', { ...latents, shape: latents.shape.slice(1) }]];
      if (mask) tensors.push(['mask', mask]);
      await cache.put(latentKeyOf(sample, models), tensors);
      yield { kind: 'stage', stage: 'cache', done: ++done, total: missing.size, what };
    }
  } finally {
    await vae.dispose();
  }
}

/** A prompt's embeddings [T, D] from the cache. */
export async function cachedPrompt(
  cache: Cache,
  prompt: Exclude<Prompt, string>,
  models: CacheModels,
): Promise<ReturnType<typeof float32>> {
  const embeds = (await cache.get(promptKeyOf(prompt, models)))?.get('prompt_embeds');
  if (!embeds || !(embeds.data instanceof Float32Array))
    throw new CacheMiss(`the embeddings of "${prompt.prompt.slice(0, 80)}"`);
  return float32(embeds.shape, embeds.data);
}

/** Something that the cache held when the run began is gone or was damaged. */
export class CacheMiss extends Error {
  override readonly name = 'CacheMiss';
}
