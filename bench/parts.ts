/** Parts of a pipeline that run at their true size on random weights. Each run gives its seconds. */
import { join } from 'node:path';

import { InvalidArgumentError } from 'commander';

import { createFlowDpmSolver } from '../samplers/flow-dpm-solver.ts';
import type { Engine } from '../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import { elementCount, float32, type Tensor } from '../src/graph/tensor.ts';
import { createDcAe, loadDcAe } from '../src/models/dc-ae.ts';
import { gemma2HiddenStates } from '../src/models/gemma2-hidden-states.ts';
import { type Gemma2, loadGemma2 } from '../src/models/gemma2.ts';
import { createPredictor } from '../src/models/predict-velocity.ts';
import { quantizedLimit } from '../src/models/quantized-limit.ts';
import { quantizeGemma2 } from '../src/models/quantize-gemma2.ts';
import { denoise } from '../src/pipeline/denoise.ts';
import { createRandom } from '../src/random.ts';
import { randomModel, sanaSizes } from './random-model.ts';
import { openRandomTransformer, type TransformerPrecision } from './random-transformer.ts';

/** How weights are stored. */
export const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;
export type Storage = keyof typeof storage;

/** Something that runs again and again. */
export interface Part {
  /** @returns seconds */
  run(): Promise<number>;
  close(): Promise<void>;
}

/** The side of a picture in pixels, as the command line gives it. */
export function parseSize(text: string): number {
  const size = Number(text);
  if (!(size > 0 && size % 32 === 0)) throw new InvalidArgumentError('use a multiple of 32.');
  return size;
}

function normals(shape: readonly number[]): Tensor {
  return float32(shape, createRandom('bench').normals(elementCount(shape)));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
}

/** What a text encoder reads: one caption behind the instruction, which a cache does not share with others. */
export interface TextOptions {
  readonly layers: number;
  readonly precision: Storage | 'int8';
  /** Tokens that are not padding. */
  readonly tokens: number;
}

/** Gemma-2-2B's shapes on one prompt. */
export async function openText({ layers, precision, tokens }: TextOptions): Promise<Part> {
  const engine = createOnnxruntimeEngine();
  const folder = await randomModel({ kind: 'text', layers, dtype: storage[precision === 'int8' ? 'bf16' : precision] });
  const exact = await loadGemma2(folder);
  const model = precision === 'int8' ? await inEightBits(engine, exact, folder) : exact;
  const random = createRandom('tokens');
  const inputIds = Array.from({ length: tokens }, () => random.integer(model.config.vocab_size));
  const positions = inputIds.map((_, i) => i);
  return {
    run: () =>
      timed(async () => {
        for await (const { hiddenStates } of gemma2HiddenStates(engine, model, [{ inputIds, positions }])) {
          if (!hiddenStates.data.every(Number.isFinite)) throw new RangeError('bench: the text is not finite');
        }
      }),
    close: () => engine.close(),
  };
}

async function inEightBits(engine: Engine, model: Gemma2, folder: string): Promise<Gemma2> {
  const limit = await quantizedLimit(engine);
  return quantizeGemma2(model, { file: join(folder, 'int8.cache'), modelKey: 'random', limit });
}

/** What an autoencoder computes. */
export interface VaeOptions {
  /** Pixels of a side. */
  readonly size: number;
  readonly half: 'encode' | 'decode';
  readonly precision: Storage;
}

/** Half of the f32c32 DC-AE on one picture. */
export async function openVae({ size, half, precision }: VaeOptions): Promise<Part> {
  const engine = createOnnxruntimeEngine();
  const vae = createDcAe(engine, await loadDcAe(await randomModel({ kind: 'vae', dtype: storage[precision] })));
  const feed = normals(half === 'encode' ? [1, 3, size, size] : [1, 32, size / 32, size / 32]);
  return {
    run: () => timed(() => vae[half](feed)),
    async close() {
      await vae.dispose();
      await engine.close();
    },
  };
}

/** What is sampled. */
export interface SampleOptions {
  readonly model: keyof typeof sanaSizes;
  /** Fewer of the model's layers. */
  readonly layers?: number;
  readonly size: number;
  readonly steps: number;
  readonly textTokens: number;
  readonly precision: TransformerPrecision;
}

/** Latents from noise with guidance 4.5; no text encoder and no autoencoder. */
export async function openSample(options: SampleOptions): Promise<Part> {
  const { model, layers, size, steps, textTokens, precision } = options;
  const shape = { ...sanaSizes[model], ...(layers !== undefined && { layers }) };
  const engine = createOnnxruntimeEngine();
  const { model: transformer } = await openRandomTransformer(engine, shape, precision);
  const predictor = await createPredictor(engine, transformer);
  const text = (tokens: number): { promptEmbeds: Tensor & { readonly data: Float32Array } } => {
    const size = [tokens, transformer.config.caption_channels] as const;
    return { promptEmbeds: float32(size, createRandom('text').normals(size[0] * size[1])) };
  };
  return {
    run: () =>
      timed(() =>
        denoise({
          predictor,
          config: transformer.config,
          solver: createFlowDpmSolver({ steps, shift: 3 }),
          prompt: text(textTokens),
          negativePrompt: text(2),
          latents: normals([1, 32, size / 32, size / 32]),
          guidanceScale: 4.5,
        }),
      ),
    async close() {
      await predictor.dispose();
      await engine.close();
    },
  };
}
