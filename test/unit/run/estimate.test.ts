import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { parseDcAeConfig } from '../../../src/models/dc-ae-config.ts';
import { parseGemma2Config } from '../../../src/models/gemma2-config.ts';
import { innerWidth, parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';
import { basePrecisions } from '../../../src/models/precisions.ts';
import { estimateRun, mappedBytes, type RunSize, textEncoderSize, transformerSize } from '../../../src/run/estimate.ts';
import { stepCost } from '../../../src/run/step-cost.ts';
import { standardModules } from '../../standard-step.ts';

const narrow = {
  num_attention_heads: 36,
  num_cross_attention_heads: 16,
  cross_attention_head_dim: 72,
  cross_attention_dim: 1152,
};
const attention = 'EfficientViTBlock';
const blocks = ['ResBlock', 'ResBlock', 'ResBlock', attention, attention, attention];
const textEncoder = parseGemma2Config({ model_type: 'gemma2' }, 'config.json');

/** Written by hand of what npm run bench -- step, versus and full print. */
const measured = z
  .object({
    gigaflops: z.number(),
    rows: z.array(
      z.object({
        model: z.enum(['0.6b', '1.6b']),
        layers: z.number(),
        size: z.number(),
        batch: z.number().default(1),
        dtype: z.enum(['float32', 'bfloat16']).default('float32'),
        precision: z.enum(basePrecisions).default('fp32'),
        checkpointing: z.boolean().default(false),
        seconds: z.number().optional(),
        anonymousMiB: z.number().optional(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../../../bench/measured.json', import.meta.url), 'utf8')));

function nameOf(row: (typeof measured.rows)[number]): string {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

interface Shape extends Partial<Omit<RunSize, 'step' | 'model'>> {
  readonly model?: '0.6b' | '1.6b';
  readonly layers: number;
  readonly side?: number;
  readonly dtype?: 'float32' | 'bfloat16';
  readonly gradientCheckpointing?: boolean;
}

async function run({
  model = '0.6b',
  layers,
  side = 512,
  dtype = 'float32',
  gradientCheckpointing = false,
  ...changes
}: Shape): Promise<RunSize> {
  const transformer = parseSanaTransformerConfig(
    { ...(model === '0.6b' && narrow), num_layers: layers },
    'config.json',
  );
  const modules = standardModules(transformer, 'attention');
  const [batch, precision] = [changes.batchSize ?? 1, changes.precision ?? 'fp32'];
  const [height, width] = [side / 32, side / 32];
  const shape = { dtype: 'float32', precision, gradientCheckpointing, batch, height, width, textTokens: 40 } as const;
  return {
    model: {
      transformer,
      vae: parseDcAeConfig({ encoder_block_types: blocks, decoder_block_types: blocks }, 'config.json'),
      textEncoder,
      transformerBytes: transformerSize(transformer) * (dtype === 'float32' ? 4 : 2),
      vaeBytes: 1.41e9,
      transformerDtype: dtype,
    },
    steps: 500,
    batchSize: 1,
    accumulation: 1,
    step: await stepCost(transformer, modules, shape),
    precision,
    gradientCheckpointing,
    largestPixels: side * side,
    meanPixels: side * side,
    textTokens: 40,
    // q, k and v of both attentions, 16 numbers in and out for each channel.
    adapterParameters: layers * 6 * 16 * 2 * innerWidth(transformer),
    stateSize: 2,
    pictures: 10,
    captions: 10,
    captionTokens: 600,
    sampleRounds: 6,
    samples: [{ width: 512, height: 512, steps: 20, guided: true }],
    classPictures: [],
    checkpoints: 4,
    ...changes,
  };
}

describe('transformerSize', () => {
  it('is 590 million for the 0.6B and 1.6 billion for the 1.6B', () => {
    expect(transformerSize(parseSanaTransformerConfig({ ...narrow, num_layers: 28 }, '')) / 1e6).toBeCloseTo(590, -1);
    expect(transformerSize(parseSanaTransformerConfig({}, '')) / 1e9).toBeCloseTo(1.6, 1);
  });
});

describe('textEncoderSize', () => {
  it('is the 2 billion of Gemma-2-2B without its embeddings', () => {
    expect(textEncoderSize(textEncoder) / 1e9).toBeCloseTo(2.02, 2);
  });
});

describe('estimateRun', () => {
  const rows = measured.rows.map((row) => [nameOf(row), row] as const);

  it.each(rows)('is within a fifth of what was measured: %s', async (_, row) => {
    const { model, layers, size: side, batch: batchSize, dtype, precision, checkpointing } = row;
    const size = await run({ model, layers, side, batchSize, dtype, precision, gradientCheckpointing: checkpointing });
    const { memory, seconds } = estimateRun(size, measured.gigaflops);
    // Weights that are mapped out of their files are not anonymous.
    const MiB = (memory.train - mappedBytes(size)) / 2 ** 20;
    const off = [MiB / (row.anonymousMiB ?? MiB), seconds.step / (row.seconds ?? seconds.step)];
    expect(Math.min(...off)).toBeGreaterThan(0.8);
    expect(Math.max(...off)).toBeLessThan(1.2);
  });

  it('grows with what is done', async () => {
    const one = estimateRun(await run({ layers: 4 }), 200);
    const twice = estimateRun(await run({ layers: 4, steps: 1000, pictures: 20, sampleRounds: 12 }), 200);
    expect(twice.seconds.train).toBeCloseTo(2 * one.seconds.train);
    expect(twice.seconds.pictures).toBeCloseTo(2 * one.seconds.pictures);
    expect(twice.seconds.samples).toBeCloseTo(2 * one.seconds.samples);
    // 32 channels of 16 x 16 float32 a picture.
    expect(twice.disk.cache - one.disk.cache).toBe(10 * 32 * 16 * 16 * 4);
    expect(estimateRun(await run({ layers: 4, gradientCheckpointing: true }), 200).seconds.step).toBeGreaterThan(
      one.seconds.step,
    );
  });

  it('is nothing for what is cached or not asked for', async () => {
    const { memory, seconds } = estimateRun(
      await run({ layers: 4, pictures: 0, captions: 0, captionTokens: 0, sampleRounds: 0, samples: [] }),
      200,
    );
    expect({ ...memory, train: 0 }).toEqual({ captions: 0, pictures: 0, train: 0, sample: 0 });
    expect({ ...seconds, step: 0, train: 0 }).toEqual({
      captions: 0,
      pictures: 0,
      classPictures: 0,
      step: 0,
      train: 0,
      samples: 0,
    });
  });
});
