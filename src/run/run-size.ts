import { join } from 'node:path';

import type { Cache } from '../../datasets/cache.ts';
import type { Sample } from '../../datasets/sample.ts';
import type { Config } from '../config/schema.ts';
import { elementCount } from '../graph/tensor.ts';
import { readJsonObject } from '../io/json.ts';
import { isTensorLocation, type Weights } from '../io/safetensors.ts';
import { type AdaptedModules, parameterShapes } from '../lora/adapter-config.ts';
import type { Prompt } from '../models/encode-prompts.ts';
import { parseGemma2Config } from '../models/gemma2-config.ts';
import type { OptimizerName } from '../optim/optimizer.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';
import { preparePrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { type ModelSize, type RunSize, transformerSize } from './estimate.ts';
import { stepCost } from './step-cost.ts';
import { type CacheModels, latentKeyOf, promptKeyOf } from './fill-cache.ts';
import { type RunPlan, plannedPrompts, plannedSamples } from './run-plan.ts';

/** Numbers that an optimizer keeps for each that is trained; factored ones keep next to nothing more. */
const stateNumbers: Readonly<Record<OptimizerName, number>> = { adamw: 2, prodigy: 4, came: 1, lion: 1, adafactor: 0 };

/** Texts as the tokenizer sees them. */
export interface CaptionSizes {
  readonly texts: number;
  /** Tokens that the transformer sees: on average, of the longest, and the most there may be. */
  readonly mean: number;
  readonly longest: number;
  readonly limit: number;
  /** All tokens that the text encoder reads; the instruction is read once. */
  readonly read: number;
  /** Texts whose end is not seen. */
  readonly truncated: readonly { readonly text: string; readonly lost: number }[];
}

/** Counts tokens; no engine is needed for that. */
export function captionSizes(
  prompts: readonly Exclude<Prompt, string>[],
  tokenizer: Tokenizer,
  maxSequenceLength: number,
): CaptionSizes {
  const instructionTokens = new Map<string, number>();
  let [seenSum, longest, read] = [0, 0, 0];
  const truncated: { text: string; lost: number }[] = [];
  for (const { prompt, chi } of prompts) {
    const { attentionMask, select, truncated: lost } = preparePrompt({ prompt, chi, tokenizer, maxSequenceLength });
    const seen = select.reduce((sum, position) => sum + (attentionMask[position] ?? 0), 0);
    const all = attentionMask.reduce((sum, kept) => sum + kept, 0);
    const instruction = chi?.join('\n') ?? '';
    if (!instructionTokens.has(instruction)) instructionTokens.set(instruction, all - seen);
    seenSum += seen;
    longest = Math.max(longest, seen);
    read += seen;
    if (lost > 0) truncated.push({ text: prompt, lost });
  }
  for (const tokens of instructionTokens.values()) read += tokens;
  const mean = prompts.length > 0 ? seenSum / prompts.length : 0;
  return { texts: prompts.length, mean, longest, limit: maxSequenceLength, read, truncated };
}

/** The parts' sizes; of weights that are not downloaded yet by their variant. */
export async function modelSize(pipeline: SanaPipeline, isHere: boolean, variant: string | null): Promise<ModelSize> {
  const path = join(pipeline.folder, 'text_encoder', 'config.json');
  const configs = {
    transformer: pipeline.transformerConfig,
    vae: pipeline.vaeConfig,
    textEncoder: parseGemma2Config(await readJsonObject(path), path),
  };
  if (!isHere) {
    const bytes = variant === 'fp16' || variant === 'bf16' ? 2 : 4;
    return {
      ...configs,
      transformerBytes: transformerSize(configs.transformer) * bytes,
      vaeBytes: 0,
      transformerDtype: bytes === 4 ? 'float32' : 'bfloat16',
    };
  }
  const { weights } = await pipeline.loadTransformer();
  return {
    ...configs,
    transformerBytes: bytesOf(weights),
    vaeBytes: bytesOf((await pipeline.loadVae()).weights),
    transformerDtype: [...weights.values()].find(({ dtype }) => dtype !== 'float32')?.dtype ?? 'float32',
  };
}

function bytesOf(weights: Weights): number {
  return [...weights.values()].reduce(
    (sum, weight) => sum + (isTensorLocation(weight) ? weight.byteLength : weight.data.byteLength),
    0,
  );
}

/** What {@link runSize} looks at. */
export interface RunSizeOptions {
  readonly config: Config;
  readonly plan: RunPlan;
  /** The step that the run goes on from. */
  readonly step: number;
  readonly model: ModelSize;
  readonly modules: AdaptedModules;
  readonly tokenizer: Tokenizer;
  readonly chi: readonly string[] | null;
  readonly maxSequenceLength: number;
  /** What is cached already costs nothing; undefined where that is not known. */
  readonly cached?: { readonly cache: Cache; readonly models: CacheModels };
  /** Class pictures that are still to be made. */
  readonly classPictures?: number;
}

/** What is left of a run, in numbers, and what its captions look like. */
export async function runSize(options: RunSizeOptions): Promise<{
  readonly size: RunSize;
  readonly captions: CaptionSizes;
}> {
  const { config, plan, step, modules, cached, tokenizer, chi, maxSequenceLength } = options;
  const { train, sample } = config;
  const classCount = options.classPictures ?? 0;

  const prompts = plannedPrompts(plan, step, { chi });
  const captions = captionSizes(prompts, tokenizer, maxSequenceLength);
  const newPrompts = await missing(prompts, async (prompt) =>
    cached ? await cached.cache.has(promptKeyOf(prompt, cached.models)) : false,
  );
  const toRead =
    newPrompts.length === prompts.length ? captions : captionSizes(newPrompts, tokenizer, maxSequenceLength);

  const unique = new Map<string, Sample>();
  const pixels = { sum: 0, count: 0, largest: { height: 0, width: 0 } };
  const keys = cached?.models ?? { vaeKey: '', textKey: '', textPrecision: 'fp32', chi, maxSequenceLength };
  for (const one of plannedSamples(plan, step)) {
    const { height, width } = one.placement.crop;
    pixels.sum += height * width;
    pixels.count++;
    if (height * width > areaOf(pixels.largest)) pixels.largest = { height, width };
    unique.set(latentKeyOf(one, keys), one);
  }
  const newPictures = await missing([...unique.keys()], async (key) => (cached ? await cached.cache.has(key) : false));

  const stateSize = stateNumbers[train.optimizer.name] + (train.use_ema ? 1 : 0);
  const left = Math.max(0, plan.maxTrainSteps - step);
  const all = train.checkpointing_steps > 0 ? Math.ceil(left / train.checkpointing_steps) : 1;
  const sizes = plan.samples.map(({ width, height, steps, guidanceScale }) => ({
    width,
    height,
    steps,
    guided: guidanceScale > 1,
  }));
  const largestPixels = areaOf(pixels.largest);
  const side = Math.sqrt(largestPixels);
  const batchSize = train.train_batch_size * (train.with_prior_preservation ? 2 : 1);
  const patch = options.model.vae.spatialCompression * options.model.transformer.patch_size;
  const stepOfLargest = await stepCost(options.model.transformer, modules, {
    dtype: 'float32',
    precision: train.precision,
    gradientCheckpointing: train.gradient_checkpointing,
    batch: batchSize,
    height: Math.max(1, pixels.largest.height / patch),
    width: Math.max(1, pixels.largest.width / patch),
    textTokens: captions.mean,
  });
  const size: RunSize = {
    model: options.model,
    steps: left,
    batchSize,
    accumulation: train.gradient_accumulation_steps,
    step: stepOfLargest,
    precision: train.precision,
    gradientCheckpointing: train.gradient_checkpointing,
    largestPixels,
    meanPixels: pixels.count > 0 ? pixels.sum / pixels.count : 0,
    textTokens: captions.mean,
    adapterParameters: [...modules]
      .flatMap(([name, module]) => [...parameterShapes(name, module).values()])
      .reduce((sum, shape) => sum + elementCount(shape), 0),
    stateSize,
    pictures: newPictures.length + classCount,
    captions: newPrompts.length,
    captionTokens: toRead.read,
    textPrecision: config.model.text_encoder_precision,
    sampleRounds: sample.every === 0 ? 0 : Math.ceil(left / sample.every) + (sample.at_start && step === 0 ? 1 : 0),
    samples: sample.every === 0 ? [] : sizes,
    classPictures: Array.from({ length: classCount }, () => ({ width: side, height: side, steps: 20, guided: true })),
    // A new one is written before the oldest is removed.
    checkpoints: Math.min(all, (train.checkpoints_total_limit ?? Number.POSITIVE_INFINITY) + 1),
  };
  return { size, captions };
}

function areaOf({ height, width }: { readonly height: number; readonly width: number }): number {
  return height * width;
}

async function missing<T>(values: readonly T[], isThere: (value: T) => Promise<boolean>): Promise<readonly T[]> {
  const left: T[] = [];
  for (const value of values) if (!(await isThere(value))) left.push(value);
  return left;
}
