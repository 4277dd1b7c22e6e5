import { describe, expect, it } from 'vitest';

import { parseDcAeConfig } from '../../../src/models/dc-ae-config.ts';
import { parseGemma2Config } from '../../../src/models/gemma2-config.ts';
import { parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';
import { estimateRun, type RunSize, textEncoderSize, transformerSize } from '../../../src/run/estimate.ts';

const narrow = {
  num_attention_heads: 36,
  num_cross_attention_heads: 16,
  cross_attention_head_dim: 72,
  cross_attention_dim: 1152,
};
const attention = 'EfficientViTBlock';
const blocks = ['ResBlock', 'ResBlock', 'ResBlock', attention, attention, attention];
const textEncoder = parseGemma2Config({ model_type: 'gemma2' }, 'config.json');

function run(
  { layers, ...changes }: Partial<RunSize> & { readonly layers: number },
  transformerIsFloat32 = true,
): RunSize {
  const transformer = parseSanaTransformerConfig({ ...narrow, num_layers: layers }, 'config.json');
  return {
    model: {
      transformer,
      vae: parseDcAeConfig({ encoder_block_types: blocks, decoder_block_types: blocks }, 'config.json'),
      textEncoder,
      transformerBytes: transformerSize(transformer) * (transformerIsFloat32 ? 4 : 2),
      vaeBytes: 1.41e9,
      transformerIsFloat32,
    },
    steps: 500,
    batchSize: 1,
    accumulation: 1,
    gradientCheckpointing: false,
    largestPixels: 512 * 512,
    meanPixels: 512 * 512,
    textTokens: 40,
    adapterParameters: 1e6,
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
  it('is within a factor of two of steps that were measured', () => {
    // Four layers of 1152 wide, 256 image and 40 text tokens: .41 s where a product of matrices has 200 GFLOP/s.
    const { step } = estimateRun(run({ layers: 4 }), 200).seconds;
    expect(step).toBeGreaterThan(0.41 / 2);
    expect(step).toBeLessThan(0.41 * 2);
  });

  it.each([
    { layers: 4, side: 512, batchSize: 1, gradientCheckpointing: false, float32: true, measured: 319 },
    { layers: 4, side: 1024, batchSize: 1, gradientCheckpointing: false, float32: true, measured: 768 },
    { layers: 4, side: 1024, batchSize: 1, gradientCheckpointing: true, float32: true, measured: 366 },
    { layers: 4, side: 512, batchSize: 4, gradientCheckpointing: false, float32: true, measured: 775 },
    { layers: 8, side: 512, batchSize: 1, gradientCheckpointing: false, float32: true, measured: 505 },
    { layers: 4, side: 512, batchSize: 1, gradientCheckpointing: false, float32: false, measured: 657 },
  ])('is within a third of memory that bench/step measured: %o', ({ side, float32, measured, ...shape }) => {
    const size = run({ ...shape, largestPixels: side * side }, float32);
    // The bench measures anonymous memory: weights that are mapped out of their files are not in it.
    const MiB = (estimateRun(size, 200).memory.train - size.model.transformerBytes) / 2 ** 20;
    expect(MiB).toBeGreaterThan((measured * 2) / 3);
    expect(MiB).toBeLessThan((measured * 4) / 3);
  });

  it('grows with what is done', () => {
    const one = estimateRun(run({ layers: 4 }), 200);
    const twice = estimateRun(run({ layers: 4, steps: 1000, pictures: 20, sampleRounds: 12 }), 200);
    expect(twice.seconds.train).toBeCloseTo(2 * one.seconds.train);
    expect(twice.seconds.pictures).toBeCloseTo(2 * one.seconds.pictures);
    expect(twice.seconds.samples).toBeCloseTo(2 * one.seconds.samples);
    // 32 channels of 16 x 16 float32 a picture.
    expect(twice.disk.cache - one.disk.cache).toBe(10 * 32 * 16 * 16 * 4);
    expect(estimateRun(run({ layers: 4, gradientCheckpointing: true }), 200).seconds.step).toBeGreaterThan(
      one.seconds.step,
    );
  });

  it('is nothing for what is cached or not asked for', () => {
    const { memory, seconds } = estimateRun(
      run({ layers: 4, pictures: 0, captions: 0, captionTokens: 0, sampleRounds: 0, samples: [] }),
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
