import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { createTrainingStep } from '../../../src/lora/training-step.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { quantizedLimit } from '../../../src/models/quantized-limit.ts';
import { readWeight } from '../../../src/models/quantize-matrix.ts';
import { quantizeTransformer } from '../../../src/models/quantize-transformer.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, cosineOfGradients, randomBatch, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), 'sana-int8-'));
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe('quantizeTransformer', () => {
  const file = join(folder, 'plain.safetensors');
  const options = { file, modelKey: 'plain', limit: 127 } as const;
  let exact: SanaTransformer;
  let quantized: SanaTransformer;
  beforeAll(async () => {
    exact = await smallTransformer('plain');
    quantized = await quantizeTransformer(exact, options);
  });

  it('rounds each channel to its nearest steps, forward and backward', async () => {
    const module = 'transformer_blocks.1.attn1.to_q';
    const kernel = await readWeight(exact.weights, `${module}.weight`);
    const [forward, scales] = [
      await readWeight(quantized.weights, `${module}.weight.int8`),
      await readWeight(quantized.weights, `${module}.weight.int8_scales`),
    ];
    const [backward, inputScales] = [
      await readWeight(quantized.weights, `${module}.weight.int8_backward`),
      await readWeight(quantized.weights, `${module}.weight.int8_backward_scales`),
    ];
    const d = scales.length;
    for (const [i, value] of kernel.entries()) {
      const [out, inner] = [Math.floor(i / d), i % d];
      const [s, t] = [scales[out] ?? 0, inputScales[inner] ?? 0];
      expect(Math.abs((forward[inner * d + out] ?? 0) * s - value)).toBeLessThanOrEqual(s * 0.501);
      expect(Math.abs((backward[i] ?? 0) * t - value)).toBeLessThanOrEqual(t * 0.501);
    }
    expect(Math.max(...forward.map(Math.abs))).toBe(127);
  });

  it('makes the file once, and again with another limit', async () => {
    const made = (await stat(file)).mtimeMs;
    await quantizeTransformer(exact, options);
    expect((await stat(file)).mtimeMs).toBe(made);

    const name = 'transformer_blocks.0.ff.conv_point.weight.int8';
    const limited = await quantizeTransformer(exact, { ...options, limit: 64 });
    expect(Math.max(...(await readWeight(limited.weights, name)).map(Math.abs))).toBe(64);
    expect((await stat(file)).mtimeMs).not.toBe(made);
    await quantizeTransformer(exact, options);
  });

  it.each([
    ['plain', 'lora'],
    ['affine', 'lora'],
    ['plain', 'dora'],
    ['plain', 'lokr'],
    ['plain', 'loha'],
  ] as const)('gives nearly the same loss and gradients (%s, %s)', async (variant, type) => {
    const model = await smallTransformer(variant);
    const limit = await quantizedLimit(engine);
    const int8 = await quantizeTransformer(model, { file: join(folder, variant), modelKey: variant, limit });
    const modules = smallAdapter(model, { type });
    const parameters = asTrained(await createAdapter(modules, model.weights, createRandom(1)), createRandom(2));
    const batch = randomBatch(1);
    const [expected, ...others] = await Promise.all(
      [
        { from: model, gradientCheckpointing: false },
        { from: int8, gradientCheckpointing: false },
        { from: int8, gradientCheckpointing: true },
      ].map(async ({ from, gradientCheckpointing }) => {
        const step = await createTrainingStep(engine, from, modules, { gradientCheckpointing });
        const result = await step.run(batch, parameters);
        await step.dispose();
        return result;
      }),
    );
    for (const got of others) {
      if (!expected) throw new Error('a result expected');
      expect(Math.abs(got.loss / expected.loss - 1)).toBeLessThan(0.01);
      expect(cosineOfGradients(expected, got)).toBeGreaterThan(0.99);
      expect(cosineOfGradients(expected, got)).toBeLessThan(0.999999);
    }
  });
});
