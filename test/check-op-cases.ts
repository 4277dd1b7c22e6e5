import { beforeAll, describe, expect, it } from 'vitest';

import type { Engine } from '../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import { createTfjsEngine } from '../src/engine/tfjs.ts';
import { evaluateDim } from '../src/graph/dim.ts';
import { gradients } from '../src/graph/gradients.ts';
import { createGraph, type Graph } from '../src/graph/graph.ts';
import { reduceSum } from '../src/graph/ops/broadcast.ts';
import { add, mul } from '../src/graph/ops/elementwise.ts';
import { type DType, elementCount, float32, tensor, type Tensor, toFloat32 } from '../src/graph/tensor.ts';
import { input, type Value } from '../src/graph/value.ts';
import { createRandom, type Random } from '../src/random.ts';
import { compareAllclose } from './matchers.ts';
import type { CaseInput, OpCase } from './op-cases.ts';
import { sizes } from './op-cases.ts';
import { plainTfjs } from './plain-tfjs.ts';

type Feeds = Readonly<Record<string, Tensor>>;

/** A case as a graph: names of its inputs and results, and of the gradients of a random projection of the results. */
interface Built {
  readonly inputs: ReadonlyMap<string, { readonly spec: CaseInput; readonly shape: readonly number[] }>;
  readonly results: Readonly<Record<string, Value>>;
  /** Weights of the projection, by the name under which they are fed. */
  readonly projection: ReadonlyMap<string, { readonly result: string; readonly weights: Tensor }>;
  /** Gradients by name, and the input that each is of. */
  readonly gradients: ReadonlyMap<string, { readonly input: string; readonly value: Value }>;
}

const concrete = (shape: Value['shape']): readonly number[] => shape.map((dim) => evaluateDim(dim, sizes));

// Elements are multiples of the grain and so is the step: what float32 holds after a step is just what is meant.
const STEP = 2 ** -5;
const GRAIN = 2 ** -8;

function tensorOf(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  switch (dtype) {
    case 'float32':
      return float32(shape, values);
    case 'int32':
      return tensor(dtype, shape, Int32Array.from(values));
    case 'int64':
      return tensor(dtype, shape, BigInt64Array.from(values, BigInt));
    case 'bool':
    case 'uint8':
      return tensor(dtype, shape, Uint8Array.from(values));
    default:
      throw new RangeError(`no ${dtype} operands in cases`);
  }
}

function drawElement({ range: [low, high] = [-2, 2], kinks = [] }: CaseInput, random: Random): number {
  for (;;) {
    const x = Math.round((low + (high - low) * random.uniform()) / GRAIN) * GRAIN;
    if (kinks.every((kink) => Math.abs(x - kink) > 3 * STEP)) return x;
  }
}

function draw(spec: CaseInput, shape: readonly number[], random: Random): Tensor {
  if ((spec.dtype ?? 'float32') !== 'float32') return tensorOf(spec.dtype ?? 'float32', shape, spec.values);
  return float32(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => drawElement(spec, random)),
  );
}

function buildCase(opCase: OpCase, index: number, random: Random): Built {
  const { values, results } = opCase.build();
  const inputs = new Map<string, { spec: CaseInput; shape: readonly number[] }>();
  const wanted: { input: string; value: Value }[] = [];
  for (const [key, spec] of Object.entries(opCase.inputs)) {
    const value = values[key];
    if (!value || value.node.leaf?.kind !== 'input') throw new Error(`${opCase.name}: no input ${key}`);
    const { name } = value.node.leaf;
    inputs.set(name, { spec, shape: concrete(value.shape) });
    if (spec.differentiable ?? value.dtype === 'float32') wanted.push({ input: name, value });
  }
  const projection = new Map<string, { result: string; weights: Tensor }>();
  const found = new Map<string, { input: string; value: Value }>();
  if (wanted.length > 0) {
    const losses = results.map((result, i) => {
      const name = `weights${index}.${i}`;
      const shape = concrete(result.shape);
      projection.set(name, { result: `${index}.${i}`, weights: float32(shape, random.normals(elementCount(shape))) });
      const axes = result.shape.map((_, axis) => axis);
      return reduceSum(mul(result, input(name, result.shape)), axes, false);
    });
    const loss = losses.reduce((sum, part) => add(sum, part));
    const slopes = gradients(
      loss,
      wanted.map(({ value }) => value),
    );
    for (const [i, value] of slopes.entries())
      found.set(`gradient${index}.${i}`, { input: wanted[i]?.input ?? '', value });
  }
  return {
    inputs,
    results: Object.fromEntries(results.map((value, i) => [`${index}.${i}`, value])),
    projection,
    gradients: found,
  };
}

/** The random projection of a case's results in float64: what differences are taken of. */
function project({ projection }: Built, outputs: Feeds): number {
  let sum = 0;
  for (const { result, weights } of projection.values()) {
    const y = outputs[result]?.data ?? [];
    for (const [i, weight] of toFloat32(weights).entries()) sum += weight * Number(y[i]);
  }
  return sum;
}

/**
 * d projection / d element for every element of every input that has a gradient, by five-point differences
 * (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h. One element of every case moves in each run.
 */
async function numericGradients(
  built: readonly Built[],
  feeds: Feeds,
  run: (feeds: Feeds) => Promise<Feeds>,
): Promise<Map<string, Float64Array>> {
  const elements = built.map((one) =>
    [...one.gradients].flatMap(([name, { input: key }]) =>
      Array.from({ length: feeds[key]?.data.length ?? 0 }, (_, element) => ({ name, key, element })),
    ),
  );
  const slopes = new Map<string, Float64Array>();
  for (const one of built) {
    for (const [name, { input: key }] of one.gradients)
      slopes.set(name, new Float64Array(feeds[key]?.data.length ?? 0));
  }
  const stencil = [
    [-2, 1],
    [-1, -8],
    [1, 8],
    [2, -1],
  ] as const;
  for (let at = 0; at < Math.max(...elements.map((list) => list.length)); at++) {
    for (const [steps, factor] of stencil) {
      const moved: Record<string, Tensor> = { ...feeds };
      for (const list of elements) {
        const entry = list[at];
        const feed = entry && feeds[entry.key];
        if (!feed) continue;
        const data = Float32Array.from(toFloat32(feed));
        data[entry.element] = (data[entry.element] ?? 0) + steps * STEP;
        moved[entry.key] = float32(feed.shape, data);
      }
      const outputs = await run(moved);
      for (const [i, list] of elements.entries()) {
        const entry = list[at];
        const slope = entry && slopes.get(entry.name);
        const one = built[i];
        if (!slope || !one) continue;
        slope[entry.element] = (slope[entry.element] ?? 0) + (factor * project(one, outputs)) / (12 * STEP);
      }
    }
  }
  return slopes;
}

interface Computed {
  readonly literal: Feeds;
  readonly random: Feeds;
  readonly gradients: Feeds;
}

/** The feeds that a graph has inputs for: some operands are there for their sizes, or not used at all. */
function only({ inputs }: Graph, feeds: Feeds): Feeds {
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => inputs.has(name)));
}

async function compute(engine: Engine, built: readonly Built[], literal: Feeds, random: Feeds): Promise<Computed> {
  const outputs: Readonly<Record<string, Value>> = Object.assign({}, ...built.map(({ results }) => results));
  const forwardGraph = createGraph(outputs);
  const forward = await engine.compile(forwardGraph, new Map());
  const slopes = built.flatMap((one) => [...one.gradients]);
  // The results too: a gradient may need an input's sizes and not the input.
  const graph = createGraph({ ...outputs, ...Object.fromEntries(slopes.map(([name, { value }]) => [name, value])) });
  const backward = await engine.compile(graph, new Map());
  const weights = built.flatMap((one) => [...one.projection].map(([name, entry]) => [name, entry.weights] as const));
  const fed = { ...random, ...Object.fromEntries(weights) };
  return {
    literal: await forward.run(only(forwardGraph, literal)),
    random: await forward.run(only(forwardGraph, random)),
    gradients: await backward.run(only(graph, fed)),
  };
}

/** The largest absolute value, at least 1: float32 errors of a sum grow with its terms. */
function scaleOf(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 1);
}

/**
 * Tests a table of cases: each result against the numbers that the case states; each gradient against differences
 * through onnxruntime; and the same values and gradients without com.microsoft's ops and through TensorFlow.js.
 */
export function checkOpCases(title: string, cases: readonly OpCase[]): void {
  describe(title, () => {
    const rows = cases.map((opCase, index) => ({ name: opCase.name, opCase, index }));
    let built: readonly Built[] = [];
    let numeric = new Map<string, Float64Array>();
    const computed = new Map<string, Computed>();

    beforeAll(async () => {
      const random = createRandom(title);
      built = cases.map((opCase, index) => buildCase(opCase, index, random));
      const inputs = built.flatMap((one) => [...one.inputs]);
      const literal = Object.fromEntries(
        inputs.map(([name, { spec, shape }]) => [name, tensorOf(spec.dtype ?? 'float32', shape, spec.values)]),
      );
      const drawn = Object.fromEntries(inputs.map(([name, { spec, shape }]) => [name, draw(spec, shape, random)]));
      const engines = {
        onnxruntime: createOnnxruntimeEngine({ threads: 1 }),
        'onnxruntime without com.microsoft': createOnnxruntimeEngine({ threads: 1, dialect: { contribOps: false } }),
        tfjs: createTfjsEngine({ tf: plainTfjs, backend: 'cpu' }),
      };
      for (const [name, engine] of Object.entries(engines)) {
        computed.set(name, await compute(engine, built, literal, drawn));
      }
      const outputs: Readonly<Record<string, Value>> = Object.assign({}, ...built.map(({ results }) => results));
      const graph = createGraph(outputs);
      const forward = await engines.onnxruntime.compile(graph, new Map());
      numeric = await numericGradients(built, drawn, (feeds) => forward.run(only(graph, feeds)));
      await Promise.all(Object.values(engines).map((engine) => engine.close()));
    }, 120_000);

    it.each(rows)('$name: values', ({ opCase, index }) => {
      const outputs = computed.get('onnxruntime')?.literal ?? {};
      expect(opCase.expected.length).toBe(Object.keys(built[index]?.results ?? {}).length);
      for (const [i, expected] of opCase.expected.entries()) {
        const output = outputs[`${index}.${i}`];
        expect(output?.shape).toEqual(concrete(opCase.shapes[i] ?? []));
        expect(output && toFloat32(output)).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
        expect(built[index]?.results[`${index}.${i}`]?.dtype).toBe(output?.dtype);
      }
    });

    const differentiable = rows.filter(({ opCase }) =>
      Object.values(opCase.inputs).some((spec) => spec.differentiable ?? (spec.dtype ?? 'float32') === 'float32'),
    );
    it.each(differentiable)('$name: gradient', ({ index }) => {
      const outputs = computed.get('onnxruntime')?.gradients ?? {};
      for (const [name, { value }] of built[index]?.gradients ?? []) {
        const slope = numeric.get(name) ?? new Float64Array();
        const output = outputs[name];
        expect(output?.shape).toEqual(concrete(value.shape));
        expect(output && toFloat32(output)).toBeAllclose(slope, { rtol: 0, atol: 2e-4 * scaleOf(slope) });
      }
    });

    it.each(rows)('$name: the same without com.microsoft and through tfjs', ({ index }) => {
      const names = Object.keys(built[index]?.results ?? {});
      const slopes = [...(built[index]?.gradients.keys() ?? [])];
      const reference = computed.get('onnxruntime');
      for (const [engine, other] of computed) {
        const compared = [
          ...names.map((name) => [reference?.literal[name], other.literal[name]]),
          ...names.map((name) => [reference?.random[name], other.random[name]]),
          ...slopes.map((name) => [reference?.gradients[name], other.gradients[name]]),
        ];
        for (const [expected, actual] of compared) {
          if (!expected || !actual) throw new Error('a result is missing');
          expect(actual.dtype).toBe(expected.dtype);
          const atol = 1e-4 * scaleOf(toFloat32(expected));
          const { pass, message } = compareAllclose(actual, expected, { rtol: 0, atol });
          expect(pass || `${engine}: ${message}`).toBe(true);
        }
      }
    });
  });
}
