import { describe, expect, it } from 'vitest';

import { estimateStep, type MeasuredStep, readMeasured, runSizeOf } from '../../../bench/measured.ts';
import { parseGemma2Config } from '../../../src/models/gemma2-config.ts';
import { parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';
import { estimateRun, textEncoderSize, transformerSize } from '../../../src/run/estimate.ts';

const narrow = {
  num_attention_heads: 36,
  num_cross_attention_heads: 16,
  cross_attention_head_dim: 72,
  cross_attention_dim: 1152,
};
const textEncoder = parseGemma2Config({ model_type: 'gemma2' }, 'config.json');

/** What npm run bench -- full printed. */
const measured = readMeasured();

const fourLayers: MeasuredStep = {
  model: '0.6b',
  layers: 4,
  size: 512,
  batch: 1,
  rank: 16,
  dtype: 'float32',
  precision: 'fp32',
  checkpointing: false,
};

function nameOf(row: MeasuredStep): string {
  return Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
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
    const { seconds, anonymousMiB } = await estimateStep(row, measured.gigaflops);
    const off = [anonymousMiB / (row.anonymousMiB ?? anonymousMiB), seconds / (row.seconds ?? seconds)];
    expect(Math.min(...off)).toBeGreaterThan(0.8);
    expect(Math.max(...off)).toBeLessThan(1.2);
  });

  it('grows with what is done', async () => {
    const size = await runSizeOf(fourLayers);
    const one = estimateRun(size, 200);
    const twice = estimateRun({ ...size, steps: 1000, pictures: 20, sampleRounds: 12 }, 200);
    expect(twice.seconds.train).toBeCloseTo(2 * one.seconds.train);
    expect(twice.seconds.pictures).toBeCloseTo(2 * one.seconds.pictures);
    expect(twice.seconds.samples).toBeCloseTo(2 * one.seconds.samples);
    // 32 channels of 16 x 16 float32 a picture.
    expect(twice.disk.cache - one.disk.cache).toBe(10 * 32 * 16 * 16 * 4);
    const checkpointed = estimateRun(await runSizeOf({ ...fourLayers, checkpointing: true }), 200);
    expect(checkpointed.seconds.step).toBeGreaterThan(one.seconds.step);
  });

  it('is nothing for what is cached or not asked for', async () => {
    const size = await runSizeOf(fourLayers);
    const { memory, seconds } = estimateRun(
      { ...size, pictures: 0, captions: 0, captionTokens: 0, sampleRounds: 0, samples: [] },
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
