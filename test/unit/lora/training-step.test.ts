import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import type { AdapterConfig } from '../../../src/lora/adapter-config.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { scaleAdapter } from '../../../src/lora/scale-adapter.ts';
import { createTrainingStep, type StepResult, type TrainingBatch } from '../../../src/lora/training-step.ts';
import { createPredictor } from '../../../src/models/predict-velocity.ts';
import type { Params } from '../../../src/optim/optimizer.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, randomBatch, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine();
afterAll(() => engine.close());
const models = { plain: await smallTransformer('plain'), affine: await smallTransformer('affine') };
const close = { rtol: 1e-4, atol: 1e-6 };

/** A compiled step with an adapter as if trained. */
async function stepOf(
  change: Partial<AdapterConfig> = {},
  options: { readonly variant?: 'plain' | 'affine'; readonly gradientCheckpointing?: boolean } = {},
): Promise<{ parameters: Params; run(batch: TrainingBatch, seed?: number): Promise<StepResult> }> {
  const model = models[options.variant ?? 'plain'];
  const modules = smallAdapter(model, change);
  const parameters = asTrained(await createAdapter(modules, model.weights, createRandom(1)), createRandom(2));
  const step = await createTrainingStep(engine, model, modules, options);
  return {
    parameters,
    run: (batch, seed) => step.run(batch, parameters, seed === undefined ? undefined : createRandom(seed)),
  };
}

function expectGradients(got: Params, expected: Params): void {
  expect(new Set(got.keys())).toEqual(new Set(expected.keys()));
  for (const [name, value] of expected) {
    const largest = value.data.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    expect(got.get(name) ?? 0, name).toBeAllclose(value, { rtol: 1e-3, atol: 1e-4 * largest });
  }
}

function scaled(parts: readonly (readonly [Params, number])[]): Params {
  const [[first] = [new Map() as Params]] = parts;
  return new Map(
    [...first].map(([name, { shape, data }]) => [
      name,
      float32(
        shape,
        data.map((_, i) =>
          parts.reduce((sum, [grads, weight]) => sum + weight * (grads.get(name)?.data[i] ?? Number.NaN), 0),
        ),
      ),
    ]),
  );
}

/** One sample of a batch. */
function sampleOf(batch: TrainingBatch, i: number): TrainingBatch {
  const slice = (name: 'latents' | 'noise' | 'promptEmbeds' | 'promptAttentionMask'): ReturnType<typeof float32> => {
    const { shape, data } = batch[name] ?? float32([1], [0]);
    const size = data.length / (shape[0] ?? 1);
    return float32(
      [1, ...shape.slice(1)],
      toFloat32({ dtype: 'float32', shape, data }).slice(i * size, (i + 1) * size),
    );
  };
  return {
    latents: slice('latents'),
    noise: slice('noise'),
    promptEmbeds: slice('promptEmbeds'),
    promptAttentionMask: slice('promptAttentionMask'),
    sigmas: batch.sigmas.slice(i, i + 1),
  };
}

describe('createTrainingStep', () => {
  it('gives a batch the mean of its samples', async () => {
    const { run } = await stepOf();
    const batch = randomBatch(1);
    const whole = await run(batch);
    const parts = [await run(sampleOf(batch, 0)), await run(sampleOf(batch, 1))] as const;
    expect(whole.losses).toBeAllclose([parts[0].loss, parts[1].loss], close);
    expect(whole.loss).toBeAllclose((parts[0].loss + parts[1].loss) / 2, close);
    expectGradients(whole.gradients, scaled(parts.map(({ gradients }) => [gradients, 0.5])));
  });

  it('weighs each sample, and tells its own loss', async () => {
    const { run } = await stepOf();
    const batch = randomBatch(2);
    const plain = await run(batch);
    const weighted = await run({ ...batch, lossWeights: [3, 0] });
    expect(weighted.losses).toBeAllclose(plain.losses, close);
    expect(weighted.loss).toBeAllclose((3 * (plain.losses[0] ?? 0)) / 2, close);
    expectGradients(weighted.gradients, scaled([[(await run(sampleOf(batch, 0))).gradients, 1.5]]));
  });

  it('weighs each pixel: a loss is the sum of what its pixels weigh', async () => {
    const { run } = await stepOf();
    const batch = randomBatch(3);
    const left = Float32Array.from({ length: 48 }, (_, i) => (i % 6 < 2 ? 1 : 0));
    const plain = await run(batch);
    const parts = [left, left.map((x) => 1 - x)].map((mask) =>
      run({ ...batch, lossMask: float32([2, 1, 4, 6], mask) }),
    );
    const [a, b] = await Promise.all(parts);
    if (!a || !b) throw new Error('two results expected');
    expect(a.losses.map((x, i) => x + (b.losses[i] ?? 0))).toBeAllclose(plain.losses, close);
    expectGradients(
      scaled([
        [a.gradients, 1],
        [b.gradients, 1],
      ]),
      plain.gradients,
    );
    expect(a.loss).not.toBeAllclose(plain.loss, { rtol: 0.01 });
  });

  it.each<[string, Partial<AdapterConfig>, 'plain' | 'affine']>([
    ['LoRA', {}, 'plain'],
    ['DoRA', { type: 'dora' }, 'plain'],
    ['patches and dropout', { dropout: 0.3 }, 'affine'],
  ])('computes the same with gradient checkpointing: %s', async (_, change, variant) => {
    const off = await stepOf(change, { variant });
    const on = await stepOf(change, { variant, gradientCheckpointing: true });
    const [expected, got] = [await off.run(randomBatch(4), 5), await on.run(randomBatch(4), 5)];
    expect(got.losses).toBeAllclose(expected.losses, { rtol: 1e-5 });
    expectGradients(got.gradients, expected.gradients);
  });

  it.each(['plain', 'affine'] as const)('drops by the seed: %s', async (variant) => {
    const { run } = await stepOf({ dropout: 0.5 }, { variant });
    const batch = randomBatch(5);
    const first = await run(batch, 1);
    expect(await run(batch, 1)).toEqual(first);
    expect((await run(batch, 2)).loss).not.toBeAllclose(first.loss, { rtol: 1e-6 });
    await expect(run(batch)).rejects.toThrow('trainingStep: dropout needs a generator');
  });

  it('has the gradient of dropout around the one without it', async () => {
    const { run } = await stepOf({ dropout: 0.1, targetModules: ['attn1.to_v'] });
    const exact = await (await stepOf({ targetModules: ['attn1.to_v'] })).run(randomBatch(6));
    const runs: StepResult[] = [];
    for (let seed = 0; seed < 40; seed++) runs.push(await run(randomBatch(6), seed));
    const mean = runs.reduce((sum, { loss }) => sum + loss / runs.length, 0);
    const deviation = Math.sqrt(runs.reduce((sum, { loss }) => sum + (loss - mean) ** 2 / runs.length, 0));
    expect(deviation).toBeGreaterThan(0);
    // Dropout adds the variance of what it drops, which is of second order here.
    expect(Math.abs(mean - exact.loss)).toBeLessThan(deviation);
  });

  it('names a parameter that is missing', async () => {
    const model = models.plain;
    const step = await createTrainingStep(engine, model, smallAdapter(model));
    await expect(step.run(randomBatch(1), new Map())).rejects.toThrow(
      /^trainingStep: parameter transformer\..* is missing$/,
    );
  });
});

describe('createPredictor', () => {
  const { latents, promptEmbeds, promptAttentionMask, sigmas } = randomBatch(7);
  const conditions = { promptEmbeds, timesteps: sigmas, ...(promptAttentionMask && { promptAttentionMask }) };

  async function predict(
    change: Partial<AdapterConfig> | undefined,
    { scale = 1, trained = false, times = 1 } = {},
  ): Promise<Float32Array> {
    const model = models.plain;
    const modules = change && smallAdapter(model, change);
    const start = modules && (await createAdapter(modules, model.weights, createRandom(1)));
    const tensors = start && trained ? asTrained(start, createRandom(2)) : start;
    const adapters =
      modules && tensors ? Array.from({ length: times }, () => scaleAdapter({ modules, tensors }, scale)) : [];
    const predictor = await createPredictor(
      engine,
      model,
      adapters.map((adapter) => adapter.modules),
    );
    const result = await predictor.predict(
      latents,
      conditions,
      adapters.map((adapter) => adapter.tensors),
    );
    await predictor.dispose();
    return toFloat32(result);
  }

  it.each<Partial<AdapterConfig>>([
    {},
    { type: 'dora' },
    {
      rslora: true,
      dropout: 0.5,
      targetModules: ['to_q', 'proj_out', 'patch_embed.proj', 'linear_1', 'time_embed.linear'],
    },
  ])('gives what the model gives with a new adapter: %o', async (change) => {
    expect(await predict(change)).toBeAllclose(await predict(undefined), { rtol: 1e-4, atol: 1e-5 });
  });

  it('has no dropout', async () => {
    const [without, dropping] = [
      await predict({}, { trained: true }),
      await predict({ dropout: 0.9 }, { trained: true }),
    ];
    expect(dropping).toEqual(without);
    expect(without).not.toBeAllclose(await predict(undefined), { rtol: 0.01, atol: 0.01 });
  });

  it('scales LoRA: 0 is the model, two halves are a whole', async () => {
    expect(await predict({}, { trained: true, scale: 0 })).toBeAllclose(await predict(undefined), {
      rtol: 1e-4,
      atol: 1e-5,
    });
    expect(await predict({}, { trained: true, scale: 0.5, times: 2 })).toBeAllclose(
      await predict({}, { trained: true }),
      {
        rtol: 1e-4,
        atol: 1e-5,
      },
    );
  });
});
