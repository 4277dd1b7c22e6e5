import type { Cache } from '../../datasets/cache.ts';
import { latentKey, textKey } from '../../datasets/cache-keys.ts';
import { loadExamples } from '../../datasets/load-example.ts';
import type { Sample } from '../../datasets/sample.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { createDcAe, type DcAe, type DcAeOptions } from '../models/dc-ae.ts';
import { type Prompt, type PromptEncoder, streamEncodedPrompts } from '../models/encode-prompts.ts';
import type { TextPrecision } from '../models/precisions.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';

/** What of the models decides a cache entry. */
export interface CacheModels {
  /** Key of the autoencoder's files. */
  readonly vaeKey: string;
  /** Key of the text encoder's and tokenizer's files. */
  readonly textKey: string;
  /** What the text encoder is computed in. */
  readonly textPrecision: TextPrecision;
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
    dtype: models.textPrecision === 'fp32' ? 'float32' : models.textPrecision,
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
    vaeOptions = {},
    signal,
  }: {
    engine: Engine;
    cache: Cache;
    models: CacheModels;
    loadVae: () => Promise<DcAe>;
    vaeOptions?: DcAeOptions;
    signal?: AbortSignal;
  },
): AsyncGenerator<TrainEvent> {
  const missing = new Map<string, Sample>();
  for (const sample of samples) {
    const key = latentKeyOf(sample, models);
    if (!missing.has(key) && !(await cache.has(key))) missing.set(key, sample);
  }
  if (missing.size === 0) return;
  const what = missing.size === 1 ? 'picture' : 'pictures';
  const vae = createDcAe(engine, await loadVae(), vaeOptions);
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

/** Makes anew what the cache held when the run began and does not give now. */
export interface CacheRepair {
  prompt(prompt: Exclude<Prompt, string>): Promise<void>;
  latents(sample: Sample): Promise<void>;
}

/** Repairs with the models that filled the cache, which are opened again for it; seldom, so that it may be slow. */
export function createCacheRepair(
  stage: { readonly engine: Engine; readonly cache: Cache; readonly models: CacheModels },
  { loadPromptEncoder, loadVae, vaeOptions }: Pick<SanaPipeline, 'loadPromptEncoder' | 'loadVae' | 'vaeOptions'>,
): CacheRepair {
  async function end(events: AsyncIterable<TrainEvent>): Promise<void> {
    for await (const _ of events);
  }
  return {
    prompt: (prompt) => end(cachePrompts([prompt], { ...stage, loadEncoder: loadPromptEncoder })),
    latents: (sample) => end(cacheLatents([sample], { ...stage, loadVae, vaeOptions })),
  };
}

/** A prompt's embeddings [T, D] from the cache, made anew where they are gone or damaged. */
export async function cachedPrompt(
  cache: Cache,
  prompt: Exclude<Prompt, string>,
  models: CacheModels,
  repair: CacheRepair,
): Promise<ReturnType<typeof float32>> {
  const key = promptKeyOf(prompt, models);
  let entry = await cache.get(key);
  if (!entry) {
    await repair.prompt(prompt);
    entry = await cache.get(key);
  }
  const embeds = entry?.get('prompt_embeds');
  if (!embeds) throw lostEntry(cache, `embeddings of "${prompt.prompt.slice(0, 80)}"`);
  return float32(embeds.shape, toFloat32(embeds));
}

/** A sample's latents [C, H, W] and mask [1, H, W] from the cache, made anew where they are gone or damaged. */
export async function cachedSample(
  cache: Cache,
  sample: Sample,
  models: CacheModels,
  repair: CacheRepair,
): Promise<{ readonly latents: Tensor; readonly mask: Tensor | undefined }> {
  const key = latentKeyOf(sample, models);
  let entry = await cache.get(key);
  if (!entry) {
    await repair.latents(sample);
    entry = await cache.get(key);
  }
  const latents = entry?.get('latents');
  if (!latents) throw lostEntry(cache, `latents of ${sample.example.id}`);
  return { latents, mask: entry?.get('mask') };
}

function lostEntry({ folder }: Cache, what: string): UserError {
  return new UserError(
    `The cache ${folder} does not give back the ${what} that were written a moment ago; check the disk, or choose another dataset.cache_dir.`,
  );
}
