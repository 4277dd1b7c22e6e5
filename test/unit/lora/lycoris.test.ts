import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { gradients } from '../../../src/graph/gradients.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { reduceSum } from '../../../src/graph/ops/broadcast.ts';
import { mul } from '../../../src/graph/ops/elementwise.ts';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import { input, type Value } from '../../../src/graph/value.ts';
import { graphAdapter } from '../../../src/lora/adapt.ts';
import { adaptedModules, type AdaptedModules, type AdapterConfig } from '../../../src/lora/adapter-config.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { factorization, lokrOf } from '../../../src/lora/lycoris.ts';
import {
  addDelta,
  applyDelta,
  inputsOf,
  lowRankDelta,
  moduleDelta,
  squaredNorm,
} from '../../../src/lora/module-delta.ts';
import { asLora, resizeAdapter } from '../../../src/lora/resize-adapter.ts';
import { createTrainingStep } from '../../../src/lora/training-step.ts';
import { type Layout, project } from '../../../src/models/projection.ts';
import type { SanaModule } from '../../../src/models/sana-transformer-config.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, randomBatch, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine();
afterAll(() => engine.close());

describe('factorization', () => {
  // Made with lycoris 4.1.3: lycoris.functional.factorization(dimension, factor).
  it.each([
    [127, -1, 1, 127],
    [128, -1, 8, 16],
    [128, 5, 4, 32],
    [250, 16, 10, 25],
    [360, 16, 15, 24],
    [360, 10, 10, 36],
    [1152, -1, 32, 36],
    [1152, 16, 16, 72],
    [2240, -1, 40, 56],
    [2240, 10, 10, 224],
    [2240, 100, 40, 56],
    [5600, 100, 56, 100],
    [11200, 16, 16, 700],
    [6912, 5, 4, 1728],
    [32, 16, 2, 16],
    [1, -1, 1, 1],
  ])('cuts %i by %i into %i x %i', (dimension, factor, small, large) => {
    expect(factorization(dimension, factor)).toEqual([small, large]);
  });
});

describe('lokrOf', () => {
  const layer: SanaModule = { inFeatures: 1152, outFeatures: 5760, bias: true, kernel: 1 };

  it('cuts rows and columns, the larger matrix by the rank where that is less than half of it', () => {
    const one = { rows: 72, columns: 32, rank: null };
    expect(lokrOf(layer, 16)).toEqual({ kind: 'lokr', one, two: { rows: 80, columns: 36, rank: 16 } });
    expect(lokrOf(layer, 39).two.rank).toBe(39);
    expect(lokrOf(layer, 40).two.rank).toBe(null);
    expect(lokrOf(layer, 4, { fullMatrix: true }).two.rank).toBe(null);
    expect(lokrOf(layer, 4, { factor: 16 }).two).toEqual({ rows: 360, columns: 72, rank: 4 });
  });

  it('cuts the smaller one too where that is asked for', () => {
    expect(lokrOf(layer, 35, { decomposeBoth: true }).one.rank).toBe(35);
    expect(lokrOf(layer, 36, { decomposeBoth: true }).one.rank).toBe(null);
    expect(lokrOf(layer, 4, { decomposeBoth: true, fullMatrix: true }).one.rank).toBe(null);
  });
});

const base: AdapterConfig = {
  type: 'lokr',
  rank: 2,
  alpha: 3,
  rankPattern: {},
  alphaPattern: {},
  targetModules: ['m'],
  rslora: false,
  dropout: 0,
};
const kinds: Readonly<Record<string, Partial<AdapterConfig>>> = {
  'LoKr, the larger matrix factored': {},
  'LoKr, both factored': { rank: 1, lokr: { decomposeBoth: true } },
  'LoKr of whole matrices': { lokr: { fullMatrix: true, factor: 2 } },
  'LoHa as what it is of rank r^2': { type: 'loha', rank: 2 },
  'LoHa of a rank whose square is too much': { type: 'loha', rank: 6 },
};
const layouts: readonly (readonly [Layout, Layout])[] = [
  ['rows', 'rows'],
  ['rows', 'columns'],
  ['columns', 'rows'],
  ['columns', 'columns'],
];

describe('graphAdapter of LyCORIS', () => {
  for (const [kind, change] of Object.entries(kinds)) {
    it.each(layouts)(`adds what the weights say: ${kind}, from %s to %s`, async (from, to) => {
      const modules = modulesOf({ ...base, ...change });
      const { loss, feeds } = await graphOf(modules, from, to);
      const executable = await engine.compile(createGraph({ loss }), new Map());
      const adapter = { modules, tensors: feeds };
      const delta = moduleDelta(adapter, 'm');
      let expected = 0;
      const [x, r] = [toFloat32(feeds.get('x') ?? missing()), toFloat32(feeds.get('r') ?? missing())];
      for (let sample = 0; sample < 2; sample++) {
        for (let token = 0; token < 3; token++) {
          const at = (size: number, layout: Layout, i: number): number =>
            sample * 3 * size + (layout === 'rows' ? token * size + i : i * 3 + token);
          const y = applyDelta(
            delta,
            Float32Array.from({ length: 12 }, (_, i) => x[at(12, from, i)] ?? 0),
          );
          expected += y.reduce((sum, value, i) => sum + value * (r[at(20, to, i)] ?? 0), 0);
        }
      }
      const result = await executable.run(Object.fromEntries(feeds));
      await executable.dispose();
      expect(result.loss).toBeAllclose([expected], { rtol: 1e-4, atol: 1e-4 });
    });

    it(`has the gradient of the loss: ${kind}`, async () => {
      const modules = modulesOf({ ...base, ...change });
      const { loss, feeds, parameters } = await graphOf(modules, 'rows', 'columns');
      const names = [...parameters.keys()];
      const grads = gradients(loss, [...parameters.values()]);
      const executable = await engine.compile(
        createGraph({ loss, ...Object.fromEntries(grads.map((value, i) => [`d.${names[i]}`, value])) }),
        new Map(),
      );
      const run = (given: ReadonlyMap<string, ReturnType<typeof float32>>): ReturnType<typeof executable.run> =>
        executable.run(Object.fromEntries(given));
      const exact = await run(feeds);
      for (const name of names) {
        const value = feeds.get(name) ?? missing();
        const numeric: number[] = [];
        for (let i = 0; i < value.data.length; i++) {
          // The loss is linear in each number alone, so that a whole step is as good as a small one.
          const at = async (step: number): Promise<number> => {
            const data = value.data.slice();
            data[i] = (data[i] ?? 0) + step;
            return Number((await run(new Map([...feeds, [name, float32(value.shape, data)]]))).loss?.data[0]);
          };
          numeric.push(((await at(1)) - (await at(-1))) / 2);
        }
        const largest = Math.max(...numeric.map(Math.abs));
        expect(exact[`d.${name}`]?.shape).toEqual(value.shape);
        expect(exact[`d.${name}`], name).toBeAllclose(numeric, { rtol: 1e-3, atol: 1e-4 * largest });
      }
      await executable.dispose();
    });
  }

  /** sum r * (what the adapter adds to 0) for x of 2 samples and 3 tokens. */
  async function graphOf(
    modules: AdaptedModules,
    from: Layout,
    to: Layout,
  ): Promise<{
    readonly loss: Value;
    readonly feeds: ReadonlyMap<string, ReturnType<typeof float32>>;
    readonly parameters: ReadonlyMap<string, Value>;
  }> {
    const shapeOf = (size: number, layout: Layout): readonly number[] =>
      layout === 'rows' ? [2, 3, size] : [2, size, 3];
    const random = createRandom(3);
    const draw = (shape: readonly number[]): ReturnType<typeof float32> =>
      float32(shape, random.normals(shape.reduce((a, b) => a * b, 1)));
    const [xShape, rShape] = [shapeOf(12, from), shapeOf(20, to)];
    const symbolic = (shape: readonly number[]): readonly (number | string)[] =>
      shape.map((size) => (size === 3 ? 'N' : size === 2 ? 'B' : size));
    const [x, r, kernel] = [input('x', symbolic(xShape)), input('r', symbolic(rShape)), input('w', [20, 12])];
    const { adapt, parameters } = graphAdapter(modules);
    const y = adapt({ module: 'm', x, from, kernel, y: project(x, from, kernel, to), to });
    const zero = float32([20, 12], new Float32Array(240));
    const started = asTrained(await createAdapter(modules, new Map(), random.fork('start')), random.fork('trained'));
    const feeds = new Map([['x', draw(xShape)], ['r', draw(rShape)], ['w', zero] as const, ...started]);
    return { loss: reduceSum(mul(y, r), [0, 1, 2], false), feeds, parameters };
  }
});

describe('moduleDelta of LyCORIS', () => {
  for (const [kind, change] of Object.entries(kinds)) {
    it(`says the same as a sum, as B A, by its norm and as a LoRA: ${kind}`, async () => {
      const modules = modulesOf({ ...base, ...change });
      const tensors = asTrained(await createAdapter(modules, new Map(), createRandom(4)), createRandom(5));
      const delta = moduleDelta({ modules, tensors }, 'm');
      expect(inputsOf(delta)).toBe(12);
      const added = new Float32Array(240);
      addDelta(added, delta);
      const close = { rtol: 1e-4, atol: 1e-6 };
      const low = new Float32Array(240);
      addDelta(low, lowRankDelta(delta));
      expect(low).toBeAllclose(added, close);
      expect([squaredNorm(delta)]).toBeAllclose([added.reduce((sum, x) => sum + x * x, 0)], close);
      const asOne = new Float32Array(240);
      addDelta(asOne, moduleDelta(asLora({ modules, tensors }), 'm'));
      expect(asOne).toBeAllclose(added, close);

      const resized = resizeAdapter({ modules, tensors }, 2);
      const left = new Float32Array(240);
      addDelta(left, moduleDelta(resized.adapter, 'm'));
      const lost = left.reduce((sum, x, i) => sum + (x - (added[i] ?? 0)) ** 2, 0);
      const all = added.reduce((sum, x) => sum + x * x, 0);
      expect(resized.adapter.modules.get('m')?.rank).toBe(
        'rank' in delta ? 2 : Math.min(2, delta.one.p.columns * delta.two.p.columns),
      );
      expect(resized.error).toBeCloseTo(Math.sqrt(lost / all), 3);
      // As good as the best there is: that of the same as a LoRA, by its own singular values.
      expect(resized.error).toBeCloseTo(resizeAdapter(asLora({ modules, tensors }), 2).error, 3);
    });
  }

  it('makes no LoRA as large as a model', () => {
    const large = new Map([['m', { inFeatures: 22_400, outFeatures: 22_400, bias: true }]]);
    const modules = adaptedModules(large, { ...base, rank: 4096 });
    expect(() => asLora({ modules, tensors: new Map() })).toThrow(/ranks up to 22400 and 1004 million numbers.*--rank/);
  });
});

describe('createAdapter of LyCORIS', () => {
  it('changes nothing at first, and draws the other factors as LyCORIS does', async () => {
    const wide = new Map([['m', { inFeatures: 400, outFeatures: 900, bias: true }]]);
    const deviation = (values: ArrayLike<number> = []): number =>
      Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / values.length);
    const start = async (change: Partial<AdapterConfig>) =>
      await createAdapter(adaptedModules(wide, { ...base, ...change }), new Map(), createRandom(6));
    const lokr = await start({ rank: 8, lokr: { decomposeBoth: true } });
    expect([...lokr].map(([name, { shape }]) => [name, shape])).toEqual([
      ['lycoris_m.lokr_w1_a', [30, 8]],
      ['lycoris_m.lokr_w1_b', [8, 20]],
      ['lycoris_m.lokr_w2_a', [30, 8]],
      ['lycoris_m.lokr_w2_b', [8, 20]],
    ]);
    expect(deviation(lokr.get('lycoris_m.lokr_w2_b')?.data)).toBe(0);
    expect(deviation(lokr.get('lycoris_m.lokr_w1_b')?.data)).toBeCloseTo(1 / Math.sqrt(3 * 20), 1);
    expect(deviation(lokr.get('lycoris_m.lokr_w2_a')?.data)).toBeCloseTo(1 / Math.sqrt(3 * 8), 1);
    const whole = await start({ lokr: { fullMatrix: true } });
    expect(deviation(whole.get('lycoris_m.lokr_w2')?.data)).toBe(0);
    const loha = await start({ type: 'loha' });
    expect(deviation(loha.get('lycoris_m.hada_w2_a')?.data)).toBe(0);
    expect(deviation(loha.get('lycoris_m.hada_w1_a')?.data)).toBeCloseTo(0.1, 1);
    expect(deviation(loha.get('lycoris_m.hada_w1_b')?.data)).toBeCloseTo(1, 0);
  });
});

describe('createTrainingStep of LyCORIS', () => {
  it.each<[string, Partial<AdapterConfig>]>([
    ['LoKr', { type: 'lokr', alpha: 2, lokr: { factor: 4 } }],
    ['LoHa', { type: 'loha', rank: 2, targetModules: ['to_q', 'conv_point', 'patch_embed.proj', 'time_embed.linear'] }],
  ])('trains what the same LoRA would be: %s', async (_, change) => {
    const model = await smallTransformer('affine');
    const modules = smallAdapter(model, change);
    const tensors = asTrained(await createAdapter(modules, model.weights, createRandom(1)), createRandom(2));
    const lora = asLora({ modules, tensors });
    const losses: Float32Array[] = [];
    for (const one of [{ modules, tensors }, lora]) {
      const step = await createTrainingStep(engine, model, one.modules, { gradientCheckpointing: one !== lora });
      const parameters = new Map(
        [...one.tensors].map(([name, value]) => [name, float32(value.shape, toFloat32(value))]),
      );
      const result = await step.run(randomBatch(8), parameters);
      expect([...result.gradients.keys()]).toEqual([...parameters.keys()]);
      losses.push(result.losses);
      await step.dispose();
    }
    expect(losses[0]).toBeAllclose(losses[1] ?? [], { rtol: 1e-4 });
  });
});

function modulesOf(config: AdapterConfig): AdaptedModules {
  return adaptedModules(new Map([['m', { inFeatures: 12, outFeatures: 20, bias: false }]]), config);
}

function missing(): never {
  throw new Error('a tensor is missing');
}
