/** Whole training steps that were measured (measured.json), and what `sana-train check` says of such steps. */
import { readFileSync } from 'node:fs';

import { z } from 'zod';

import { adaptedModules } from '../src/lora/adapter-config.ts';
import { parseDcAeConfig } from '../src/models/dc-ae-config.ts';
import { parseGemma2Config } from '../src/models/gemma2-config.ts';
import { basePrecisions } from '../src/models/precisions.ts';
import { innerWidth, parseSanaTransformerConfig, sanaModules } from '../src/models/sana-transformer-config.ts';
import { estimateRun, mappedBytes, type RunSize, transformerSize } from '../src/run/estimate.ts';
import { stepCost } from '../src/run/step-cost.ts';
import { sanaSizes } from './random-model.ts';

const row = z.strictObject({
  model: z.enum(['0.6b', '1.6b']),
  layers: z.number(),
  /** Pixels of a side. */
  size: z.number(),
  batch: z.number().default(1),
  rank: z.number().default(16),
  /** What the files hold. */
  dtype: z.enum(['float32', 'bfloat16']).default('float32'),
  precision: z.enum(basePrecisions).default('fp32'),
  checkpointing: z.boolean().default(false),
  /** The fastest of a few steps. */
  seconds: z.number().optional(),
  /** Memory beside mapped files at its worst. */
  anonymousMiB: z.number().optional(),
});

/** A step of LoRA on q, k and v with AdamW and 40 text tokens, and what was measured of it. */
export type MeasuredStep = z.output<typeof row>;

const schema = z.strictObject({
  machine: z.string(),
  /** What measureSpeed gave, the median of many times between the steps. */
  gigaflops: z.number(),
  rows: z.array(row),
});

/** Reads bench/measured.json, which is written by hand of what `npm run bench -- full` printed. */
export function readMeasured(): z.output<typeof schema> {
  return schema.parse(JSON.parse(readFileSync(new URL('measured.json', import.meta.url), 'utf8')));
}

/** A run of such steps as `sana-train check` sees it, of ten pictures. */
export async function runSizeOf(step: MeasuredStep): Promise<RunSize> {
  const { model, layers, size, batch, rank, dtype, precision, checkpointing } = step;
  const { width, heads, crossHeads } = sanaSizes[model];
  const json = {
    num_layers: layers,
    num_attention_heads: heads,
    num_cross_attention_heads: crossHeads,
    cross_attention_head_dim: width / crossHeads,
    cross_attention_dim: width,
  };
  const transformer = parseSanaTransformerConfig(json, 'config.json');
  const modules = adaptedModules(sanaModules(transformer), {
    type: 'lora',
    rank,
    alpha: rank,
    rankPattern: {},
    alphaPattern: {},
    targetModules: ['to_q', 'to_k', 'to_v'],
    rslora: false,
    dropout: 0,
  });
  const side = size / 32;
  return {
    model: {
      transformer,
      vae: parseDcAeConfig({}, 'config.json'),
      textEncoder: parseGemma2Config({ model_type: 'gemma2' }, 'config.json'),
      transformerBytes: transformerSize(transformer) * (dtype === 'float32' ? 4 : 2),
      vaeBytes: 1.41e9,
      transformerDtype: dtype,
    },
    steps: 500,
    batchSize: batch,
    accumulation: 1,
    step: await stepCost(transformer, modules, {
      dtype: 'float32',
      precision,
      gradientCheckpointing: checkpointing,
      batch,
      height: side,
      width: side,
      textTokens: 40,
    }),
    precision,
    gradientCheckpointing: checkpointing,
    largestPixels: size ** 2,
    meanPixels: size ** 2,
    textTokens: 40,
    // q, k and v of both attentions, `rank` numbers in and out for each channel.
    adapterParameters: layers * 6 * rank * 2 * innerWidth(transformer),
    stateSize: 2,
    pictures: 10,
    captions: 10,
    captionTokens: 600,
    textPrecision: 'fp32',
    sampleRounds: 6,
    samples: [{ width: 512, height: 512, steps: 20, guided: true }],
    classPictures: [],
    checkpoints: 4,
  };
}

/** Seconds of a step, and MiB beside mapped files, as `sana-train check` estimates them. */
export async function estimateStep(
  step: MeasuredStep,
  gigaflops: number,
): Promise<{ readonly seconds: number; readonly anonymousMiB: number }> {
  const size = await runSizeOf(step);
  const { memory, seconds } = estimateRun(size, gigaflops);
  return { seconds: seconds.step, anonymousMiB: (memory.train - mappedBytes(size)) / 2 ** 20 };
}
