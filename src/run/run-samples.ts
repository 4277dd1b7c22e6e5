import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import sharp from 'sharp';

import type { Cache } from '../../datasets/cache.ts';
import { solverFromConfig } from '../../samplers/solver-from-config.ts';
import type { SampleConfig } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import { writeBytes } from '../io/atomic-write.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { createDcAe } from '../models/dc-ae.ts';
import { createPredictor } from '../models/predict-velocity.ts';
import type { Params } from '../optim/optimizer.ts';
import { decodePicture } from '../pipeline/decode-picture.ts';
import { denoise, initialNoise } from '../pipeline/denoise.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';
import { writePicture } from '../pipeline/picture-file.ts';
import { type CompleteRequest, completeRequest, latentShape } from '../pipeline/picture-request.ts';
import { settingsTexts } from '../pipeline/settings-text.ts';
import { cachedPrompt, type CacheModels, type CacheRepair, promptOf } from './fill-cache.ts';

/** A picture that the run makes again and again. */
export type RunSample = CompleteRequest;

/**
 * The pictures that a config asks for: each prompt as often as it says, with seeds that count up.
 * @param defaults prompts where the config has none
 * @param added prompts beside the others
 */
export function runSamples(
  config: SampleConfig,
  pipeline: Pick<SanaPipeline, 'defaultSize' | 'sizeMultiple' | 'transformerConfig'>,
  resolution: number,
  defaults: readonly string[],
  added: readonly string[],
): readonly RunSample[] {
  const auto = (size: number | 'auto'): number => (size === 'auto' ? resolution : size);
  const { negative_prompt, seed, width, height, guidance_scale, num_inference_steps } = config;
  const common = { negative_prompt, seed, width, height, guidance_scale, num_inference_steps };
  const prompts = [
    ...(config.prompts.length > 0 ? config.prompts : defaults.map((prompt) => ({ prompt, ...common }))),
    ...added.map((prompt) => ({ prompt, ...common })),
  ];
  return prompts.flatMap((entry) =>
    Array.from({ length: config.num_images_per_prompt }, (_, i) =>
      completeRequest(
        pipeline,
        {},
        {
          prompt: entry.prompt,
          negativePrompt: entry.negative_prompt,
          seed: entry.seed + i,
          width: auto(entry.width),
          height: auto(entry.height),
          steps: entry.num_inference_steps,
          guidanceScale: entry.guidance_scale,
          ...(config.guidance_interval && { guidanceInterval: config.guidance_interval }),
        },
      ),
    ),
  );
}

/** What making the run's pictures needs. */
export interface RunSampler {
  readonly runDir: string;
  readonly name: string;
  readonly version: string;
  readonly engine: Engine;
  readonly pipeline: SanaPipeline;
  readonly cache: Cache;
  readonly models: CacheModels;
  readonly repair: CacheRepair;
  readonly chiName: string | null;
  readonly config: SampleConfig;
  readonly samples: readonly RunSample[];
}

/** Where a sample's picture of a step is, relative to the run's folder. */
export function samplePath(index: number, step: number): string {
  return `samples/${index + 1}/step-${String(step).padStart(6, '0')}.png`;
}

/** A picture that is to be made, and where it goes. */
export interface SamplePlace {
  /** Tells the prompts of a run apart. */
  readonly index: number;
  readonly request: RunSample;
  /** Relative to the run's folder. */
  readonly path: string;
}

/** Where the pictures of a step go. */
export function samplePlaces(samples: readonly RunSample[], step: number): readonly SamplePlace[] {
  return samples.map((request, index) => ({ index, request, path: samplePath(index, step) }));
}

/** The places that have no picture of their prompt. */
export async function missingPlaces(runDir: string, places: readonly SamplePlace[]): Promise<readonly SamplePlace[]> {
  const isThere = await Promise.all(places.map(({ request, path }) => isPictureOf(join(runDir, path), request.prompt)));
  return places.filter((_, i) => isThere[i] !== true);
}

/** Whether a file is a picture that was made of a prompt. */
export async function isPictureOf(path: string, prompt: string): Promise<boolean> {
  try {
    const { comments = [] } = await sharp(path).metadata();
    return comments.some(({ text }) => text.includes(prompt));
  } catch {
    return false;
  }
}

/**
 * Makes every picture with the adapter as it is, by the sampler of `sana-train sample`. Transformer and autoencoder are
 * compiled for the occasion, so that training keeps no second model in memory.
 */
export async function* makeSamples(
  sampler: RunSampler,
  step: number,
  modules: AdaptedModules,
  parameters: Params,
  signal?: AbortSignal,
  places: readonly SamplePlace[] = samplePlaces(sampler.samples, step),
): AsyncGenerator<TrainEvent> {
  const { runDir, engine, pipeline, cache, models, repair, config } = sampler;
  const transformer = await pipeline.loadTransformer();
  const predictor = await createPredictor(engine, transformer, [modules]);
  const vae = createDcAe(engine, await pipeline.loadVae(), pipeline.vaeOptions);
  try {
    for (const [done, { index, request, path }] of places.entries()) {
      signal?.throwIfAborted();
      yield { kind: 'stage', stage: 'sample', done, total: places.length, what: `pictures at step ${step}` };
      const start = performance.now();
      const solver = solverFromConfig(
        pipeline.scheduler.config,
        {
          steps: request.steps,
          ...(config.solver !== 'auto' && { solver: config.solver }),
          ...(config.flow_shift !== 'auto' && { shift: config.flow_shift }),
        },
        pipeline.scheduler.path,
      );
      const latents = await denoise({
        predictor,
        adapters: [parameters],
        config: pipeline.transformerConfig,
        solver,
        prompt: { promptEmbeds: await cachedPrompt(cache, promptOf(request.prompt, false, models), models, repair) },
        negativePrompt: {
          promptEmbeds: await cachedPrompt(cache, promptOf(request.negativePrompt, true, models), models, repair),
        },
        latents: initialNoise(request.seed, latentShape(pipeline, request)),
        guidanceScale: request.guidanceScale,
        ...(request.guidanceInterval && { guidanceInterval: request.guidanceInterval }),
        ...(signal && { signal }),
      });
      const image = await decodePicture(vae, latents);
      await mkdir(dirname(join(runDir, path)), { recursive: true });
      const { latents: _, ...settings } = request;
      const texts = settingsTexts({
        ...settings,
        model: sampler.name,
        adapters: [{ name: `step ${step}`, scale: 1 }],
        solver: solver.name,
        chi: sampler.chiName,
        maxSequenceLength: models.maxSequenceLength,
        version: sampler.version,
      });
      await writePicture(join(runDir, path), image, texts);
      const seconds = (performance.now() - start) / 1000;
      yield { kind: 'sample', step, index, prompt: request.prompt, seed: request.seed, path, seconds };
    }
    yield {
      kind: 'stage',
      stage: 'sample',
      done: places.length,
      total: places.length,
      what: `pictures at step ${step}`,
    };
  } finally {
    await vae.dispose();
    await predictor.dispose();
  }
}

/** One picture a prompt with all its steps side by side: samples/1.png and so on. */
export async function writeGrids(
  runDir: string,
  samples: readonly RunSample[],
  steps: readonly number[],
): Promise<void> {
  const margin = 4;
  for (const [index, { width, height }] of samples.entries()) {
    const scale = Math.min(1, 384 / Math.max(width, height));
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    const parts = await Promise.all(
      steps.map(async (step, column) => ({
        input: await sharp(join(runDir, samplePath(index, step)))
          .resize(w, h)
          .toBuffer(),
        left: column * (w + margin),
        top: 0,
      })),
    );
    const png = await sharp({
      create: { width: Math.max(1, steps.length * (w + margin) - margin), height: h, channels: 3, background: 'white' },
    })
      .composite(parts)
      .png()
      .toBuffer();
    await writeBytes(join(runDir, 'samples', `${index + 1}.png`), png);
  }
}

/** The steps whose pictures are all there, in order. */
export async function sampledSteps(runDir: string, count: number): Promise<readonly number[]> {
  if (count === 0) return [];
  const lists = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const names = await readdir(join(runDir, 'samples', String(index + 1))).catch(() => []);
      return new Set(names.flatMap((file) => (/^step-(\d+)\.png$/.test(file) ? [Number(/\d+/.exec(file)?.[0])] : [])));
    }),
  );
  const [first = new Set<number>()] = lists;
  return [...first].filter((step) => lists.every((list) => list.has(step))).sort((a, b) => a - b);
}
