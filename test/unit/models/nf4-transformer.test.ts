import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { createTrainingStep, type TrainingStep } from '../../../src/lora/training-step.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { nf4Kernels, nf4Transformer } from '../../../src/models/nf4-transformer.ts';
import { createPredictor } from '../../../src/models/predict-velocity.ts';
import { readWeight } from '../../../src/models/quantize-matrix.ts';
import { weightReader } from '../../../src/models/weights.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, cosineOfGradients, randomBatch, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), 'sana-nf4-'));
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

/** A weight as the transformer's graph has it. */
async function computed({ weights }: SanaTransformer, name: string): Promise<Float32Array> {
  const shape = weights.get(name)?.shape ?? [];
  const executable = await engine.compile(createGraph({ y: weightReader(weights)(name, shape) }), weights);
  const { y } = await executable.run({});
  await executable.dispose();
  if (!y) throw new Error('a result expected');
  return toFloat32(y);
}

// QLoRA, arXiv 2305.14314, appendix E, to four digits.
const levels = [
  -1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.723, 1,
];

/** Block by block, each number the nearest level: slow and plain. */
function slowly(kernel: Float32Array): readonly number[] {
  const half = kernel.length / 2;
  const result = Array.from<number>(kernel);
  for (let start = 0; start < half; start += 32) {
    const block = Array.from({ length: 64 }, (_, i) => (i < 32 ? start + i : half + start + i - 32));
    const scale = Math.max(...block.map((i) => Math.abs(kernel[i] ?? 0)));
    for (const i of block) {
      const distance = (level: number): number => Math.abs(level * scale - (kernel[i] ?? 0));
      result[i] = scale * levels.reduce((best, level) => (distance(level) < distance(best) ? level : best));
    }
  }
  return result;
}

describe('nf4Transformer', () => {
  const file = join(folder, 'plain.safetensors');
  const options = { file, modelKey: 'plain' };
  let exact: SanaTransformer;
  let stored: SanaTransformer;
  beforeAll(async () => {
    exact = await smallTransformer('plain');
    stored = await nf4Transformer(exact, options);
  });

  it('makes each number the nearest level of its block, of all matrices of the blocks', async () => {
    const names = [...exact.weights.keys()].filter((name) =>
      /^transformer_blocks.*(to_[qkv]|to_out\.0|conv_inverted|conv_point)\.weight$/.test(name),
    );
    expect(nf4Kernels(exact.config).map(({ name }) => name)).toEqual(expect.arrayContaining(names));
    for (const name of names) {
      const kernel = await readWeight(exact.weights, name);
      // Of two levels that are as near, either.
      const distances = (values: Iterable<number>): number[] =>
        Array.from(values, (value, i) => Math.abs(value - (kernel[i] ?? 0)));
      expect(distances(await computed(stored, name))).toBeAllclose(distances(slowly(kernel)), { rtol: 0, atol: 1e-4 });
      expect(stored.weights.get(`${name}.nf4`)?.shape).toEqual([kernel.length / 2]);
    }
  });

  it('stores what is 0 everywhere as 0', async () => {
    const name = 'transformer_blocks.0.attn1.to_q.weight';
    const zeros: Tensor = float32([32, 32], new Float32Array(1024));
    const model = { ...exact, weights: new Map([...exact.weights, [name, zeros] as const]) };
    const made = await nf4Transformer(model, { file: join(folder, 'zeros'), modelKey: 'zeros' });
    expect(await computed(made, name)).toEqual(zeros.data);
  });

  it('makes the file once, and again for another model', async () => {
    const made = (await stat(file)).mtimeMs;
    await nf4Transformer(exact, options);
    expect((await stat(file)).mtimeMs).toBe(made);

    await nf4Transformer(exact, { ...options, modelKey: 'another' });
    expect((await stat(file)).mtimeMs).not.toBe(made);
    await nf4Transformer(exact, options);
  });

  it('predicts with the stored weights', async () => {
    const weights = new Map(exact.weights);
    for (const { name } of nf4Kernels(exact.config)) {
      weights.set(name, float32(exact.weights.get(name)?.shape ?? [], await computed(stored, name)));
    }
    const [sample, expected] = await Promise.all(
      [stored, { ...exact, weights }].map(async (model) => {
        const batch = randomBatch(3);
        const predictor = await createPredictor(engine, model);
        const result = await predictor.predict(batch.latents, { ...batch, timesteps: [300, 900] });
        await predictor.dispose();
        return result;
      }),
    );
    if (!sample || !expected) throw new Error('results expected');
    expect(sample).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-6 });
  });

  it.each([
    ['plain', 'lora'],
    ['affine', 'lora'],
    ['plain', 'dora'],
    ['plain', 'lokr'],
    ['plain', 'loha'],
  ] as const)('gives nearly the same loss and gradients (%s, %s)', async (variant, type) => {
    const model = await smallTransformer(variant);
    const nf4 = await nf4Transformer(model, { file: join(folder, variant), modelKey: variant });
    const modules = smallAdapter(model, { type });
    const parameters = asTrained(await createAdapter(modules, model.weights, createRandom(1)), createRandom(2));
    const batch = randomBatch(1);
    const [expected, plain, recomputed] = await Promise.all(
      [
        { from: model, gradientCheckpointing: false },
        { from: nf4, gradientCheckpointing: false },
        { from: nf4, gradientCheckpointing: true },
      ].map(async ({ from, gradientCheckpointing }) => {
        const step = await createTrainingStep(engine, from, modules, { gradientCheckpointing });
        const result = await step.run(batch, parameters);
        await step.dispose();
        return result;
      }),
    );
    if (!expected || !plain || !recomputed) throw new Error('results expected');
    expect(Math.abs(plain.loss / expected.loss - 1)).toBeLessThan(0.05);
    expect(cosineOfGradients(expected, plain)).toBeGreaterThan(0.95);
    expect(cosineOfGradients(expected, plain)).toBeLessThan(0.999999);
    expect(recomputed.loss).toBeCloseTo(plain.loss, 6);
    expect(cosineOfGradients(recomputed, plain)).toBeCloseTo(1, 6);
  });

  it('gives the gradients of the loss that it gives', async () => {
    const modules = smallAdapter(stored);
    const parameters = asTrained(await createAdapter(modules, exact.weights, createRandom(1)), createRandom(2));
    const step: TrainingStep = await createTrainingStep(engine, stored, modules);
    const batch = randomBatch(1);
    const { gradients } = await step.run(batch, parameters);
    // Along the gradient, by central differences.
    const moved = async (size: number): Promise<number> => {
      const there = new Map(
        [...parameters].map(([name, { shape, data }]) => {
          const gradient = gradients.get(name)?.data ?? [];
          return [
            name,
            float32(
              shape,
              data.map((x, i) => x + size * (gradient[i] ?? 0)),
            ),
          ] as const;
        }),
      );
      return (await step.run(batch, there)).loss;
    };
    const squares = [...gradients.values()].reduce((sum, { data }) => sum + data.reduce((s, g) => s + g * g, 0), 0);
    const size = 0.01 / Math.sqrt(squares);
    expect(((await moved(size)) - (await moved(-size))) / (2 * size * squares)).toBeCloseTo(1, 2);
    await step.dispose();
  });
});
