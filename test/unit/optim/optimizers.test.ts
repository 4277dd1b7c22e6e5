import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { float32 } from '../../../src/graph/tensor.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import type { OptimizerOptions } from '../../../src/optim/create-optimizer.ts';
import { clipping, createGradientAccumulator, scaleGradients } from '../../../src/optim/gradients.ts';
import { optimizerNames, restoreState, stateTensors } from '../../../src/optim/optimizer.ts';
import type { Params } from '../../../src/optim/optimizer.ts';
import { createRandom } from '../../../src/random.ts';

const numbers = z.array(z.number());
const pair = z.tuple([z.number(), z.number()]);
const optional = z.number().exactOptional();
const flag = z.boolean().exactOptional();
const golden = z
  .object({
    shapes: z.record(z.string(), numbers),
    start: z.record(z.string(), numbers),
    grads: z.record(z.string(), z.array(numbers)),
    cases: z.array(
      z.object({
        options: z.discriminatedUnion('name', [
          z.strictObject({
            name: z.literal('adamw'),
            betas: pair.exactOptional(),
            eps: optional,
            weightDecay: optional,
          }),
          z.strictObject({
            name: z.literal('prodigy'),
            weightDecay: optional,
            decouple: flag,
            growthRate: optional,
            dCoef: optional,
            d0: optional,
            useBiasCorrection: flag,
            safeguardWarmup: flag,
            beta3: optional,
          }),
          z.strictObject({ name: z.literal('lion'), betas: pair.exactOptional(), weightDecay: optional }),
          z.strictObject({
            name: z.literal('came'),
            betas: z.tuple([z.number(), z.number(), z.number()]).exactOptional(),
            eps: pair.exactOptional(),
            clipThreshold: optional,
            weightDecay: optional,
          }),
          z.strictObject({
            name: z.literal('adafactor'),
            beta1: optional,
            weightDecay: optional,
            clipThreshold: optional,
            decayRate: optional,
            scaleParameter: flag,
            relativeStep: flag,
            warmupInit: flag,
          }),
        ]),
        lrs: numbers,
        path: z.array(numbers),
      }),
    ),
    clips: z.array(z.object({ maxNorm: z.number(), norm: z.number(), grads: numbers })),
  })
  // Made by tools/goldens/optimizers.py.
  .parse(JSON.parse(readFileSync(new URL('./goldens/optimizers.json', import.meta.url), 'utf8')));

function paramsOf(values: (name: string) => readonly number[]): Params {
  return new Map(Object.entries(golden.shapes).map(([name, shape]) => [name, float32(shape, values(name))] as const));
}

const start = (): Params => paramsOf((name) => golden.start[name] ?? []);
const gradsAt = (step: number): Params => paramsOf((name) => golden.grads[name]?.[step] ?? []);
const flat = (params: Params): number[] => [...params.values()].flatMap(({ data }) => [...data]);

describe('createOptimizer', () => {
  it.each(golden.cases.map((entry) => ({ label: JSON.stringify(entry.options), ...entry })))(
    'computes what PyTorch, transformers, prodigyopt or the paper does: $label',
    ({ options, lrs, path }) => {
      const optimizer = createOptimizer(options);
      const params = start();
      const state = optimizer.init(params);
      path.forEach((expected, step) => {
        optimizer.update(params, gradsAt(step), state, lrs[step] ?? 0);
        expect(flat(params)).toBeAllclose(expected, { rtol: 1e-5, atol: 2e-6 });
      });
    },
  );

  it('has a golden for every optimizer', () => {
    expect(new Set(golden.cases.map(({ options }) => options.name))).toEqual(new Set(optimizerNames));
  });

  it('names a gradient that is missing or has another size', () => {
    const optimizer = createOptimizer({ name: 'adamw' });
    const params = start();
    const state = optimizer.init(params);
    expect(() => optimizer.update(params, new Map(), state, 1e-3)).toThrow(
      'matrix should have 12 elements, got no such tensor',
    );
  });
});

describe.each(optimizerNames.map((name) => ({ name })))('state of $name', ({ name }) => {
  const options: OptimizerOptions = { name };

  it('goes on bit for bit from what stateTensors saved', () => {
    const optimizer = createOptimizer(options);
    const params = start();
    const state = optimizer.init(params);
    for (let step = 0; step < 3; step++) optimizer.update(params, gradsAt(step), state, 0.01);
    const copy: Params = new Map([...params].map(([key, { shape, data }]) => [key, float32(shape, data.slice())]));
    const restored = restoreState(optimizer, copy, stateTensors(state));
    for (let step = 3; step < 6; step++) {
      optimizer.update(params, gradsAt(step), state, 0.01);
      optimizer.update(copy, gradsAt(step), restored, 0.01);
    }
    expect(flat(copy)).toEqual(flat(params));
    expect(restored).toEqual(state);
  });

  it('keeps the state of one run apart from another run of the same optimizer', () => {
    const optimizer = createOptimizer(options);
    const [alone, first, second] = [start(), start(), start()];
    const states = [alone, first, second].map((params) => optimizer.init(params));
    for (let step = 0; step < 4; step++) {
      const grads = gradsAt(step);
      if (states[0]) optimizer.update(alone, grads, states[0], 0.01);
    }
    for (let step = 0; step < 4; step++) {
      if (states[1]) optimizer.update(first, gradsAt(step), states[1], 0.01);
      if (states[2]) optimizer.update(second, gradsAt(3 - step), states[2], 0.01);
    }
    expect(flat(first)).toEqual(flat(alone));
  });
});

describe('restoreState', () => {
  const optimizer = createOptimizer({ name: 'adamw' });

  it('refuses the state of other shapes, or of another optimizer, with both', () => {
    const saved = stateTensors(optimizer.init(start()));
    const other: Params = new Map([...start(), ['vector', float32([6], [1, 2, 3, 4, 5, 6])]]);
    expect(() => restoreState(optimizer, other, saved)).toThrow(
      'exp_avg.vector is float32 [5] there and float32 [6] here',
    );
    const lion = createOptimizer({ name: 'lion' });
    expect(() => restoreState(lion, start(), saved)).toThrow(
      'exp_avg_sq.matrix is float32 [3, 4] there and absent here',
    );
  });
});

describe('clipping', () => {
  it.each(golden.clips)('does what torch.nn.utils.clip_grad_norm_ does at $maxNorm', ({ maxNorm, norm, grads }) => {
    const params = gradsAt(2);
    const found = clipping(params, maxNorm);
    expect(found.norm).toBeCloseTo(norm, 5);
    scaleGradients(params, found.scale);
    expect(flat(params)).toBeAllclose(grads, { rtol: 1e-6 });
  });

  it('returns a norm that is not finite when a gradient is', () => {
    const params: Params = new Map([['a', float32([2], [1, Number.NaN])]]);
    expect(clipping(params, 1).norm).toBeNaN();
  });
});

describe('createGradientAccumulator', () => {
  it('averages micro-batches and starts again', () => {
    const params: Params = new Map([['a', float32([2], [0, 0])]]);
    const accumulator = createGradientAccumulator(params);
    accumulator.add(new Map([['a', float32([2], [1, 2])]]), 0.5);
    accumulator.add(new Map([['a', float32([2], [3, -2])]]), 0.5);
    expect(accumulator.grads.get('a')?.data).toEqual(Float32Array.of(2, 0));
    accumulator.reset();
    accumulator.add(new Map([['a', float32([2], [4, 4])]]), 1);
    expect(accumulator.grads.get('a')?.data).toEqual(Float32Array.of(4, 4));
    accumulator.add(new Map([['a', float32([2], [1, 2])]]), 0.5);
    expect(accumulator.grads.get('a')?.data).toEqual(Float32Array.of(4.5, 5));
    expect(() => accumulator.add(new Map(), 1)).toThrow('a should have 2 elements');
  });

  it('gives back the gradients of a single micro-batch without a copy', () => {
    const accumulator = createGradientAccumulator(new Map([['a', float32([2], [0, 0])]]));
    const grads: Params = new Map([['a', float32([2], [1, 2])]]);
    accumulator.reset();
    accumulator.add(grads, 1);
    expect(accumulator.grads).toBe(grads);
    accumulator.reset();
    expect(() => accumulator.add(new Map(), 1)).toThrow('a should have 2 elements');
    expect(accumulator.grads.get('a')?.data).toEqual(Float32Array.of(0, 0));
  });
});

describe('optimizers', () => {
  it.each(optimizerNames)('%s steps with a scale as with gradients that were scaled, bit for bit', (name) => {
    const [fused, apart] = [start(), start()];
    const optimizer = createOptimizer({ name });
    const [a, b] = [optimizer.init(fused), optimizer.init(apart)];
    for (const step of [0, 1, 2]) {
      const grads = gradsAt(step);
      scaleGradients(grads, 0.3);
      optimizer.update(fused, gradsAt(step), a, 0.01, 0.3);
      optimizer.update(apart, grads, b, 0.01);
    }
    expect(flat(fused)).toEqual(flat(apart));
    expect(a).toEqual(b);
  });

  it.each([
    { name: 'adamw', lr: 0.05, steps: 200 },
    { name: 'prodigy', lr: 1, steps: 400 },
    { name: 'came', lr: 0.01, steps: 400 },
    { name: 'lion', lr: 0.01, steps: 400 },
    { name: 'adafactor', lr: 0.05, steps: 400 },
  ] as const)('$name descends a quadratic', ({ name, lr, steps }) => {
    const random = createRandom(name);
    const goal = random.normals(12);
    const params: Params = new Map([['w', float32([3, 4], random.normals(12))]]);
    const loss = (): number => flat(params).reduce((sum, w, i) => sum + (w - (goal[i] ?? 0)) ** 2, 0);
    const before = loss();
    const optimizer = createOptimizer({ name });
    const state = optimizer.init(params);
    for (let step = 0; step < steps; step++) {
      const grads: Params = new Map([
        [
          'w',
          float32(
            [3, 4],
            flat(params).map((w, i) => w - (goal[i] ?? 0)),
          ),
        ],
      ]);
      optimizer.update(params, grads, state, lr);
    }
    expect(loss()).toBeLessThan(0.1 * before);
  });
});
