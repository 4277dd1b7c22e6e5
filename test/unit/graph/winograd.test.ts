import { describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createGraph, type Graph } from '../../../src/graph/graph.ts';
import { conv2d } from '../../../src/graph/ops/conv.ts';
import { cast } from '../../../src/graph/ops/elementwise.ts';
import { elementCount, float32, fromFloat32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { input, type Value, weight } from '../../../src/graph/value.ts';
import { winogradConvolutions } from '../../../src/graph/winograd.ts';
import { createRandom } from '../../../src/random.ts';

const random = createRandom('winograd');
const normals = (shape: readonly number[]): Tensor & { readonly data: Float32Array } =>
  float32(shape, random.normals(elementCount(shape)));

const kernel = weight('kernel', [32, 16, 3, 3]);
const bias = weight('bias', [32]);
const image = input('x', ['B', 16, '4*H', 'W']);
const values = normals([32, 16, 3, 3]);
const weights = new Map<string, Tensor>([
  ['kernel', values],
  ['narrow', fromFloat32('bfloat16', [32, 16, 3, 3], values.data)],
  ['bias', normals([32])],
]);

function ops(graph: Graph): readonly string[] {
  return graph.nodes.filter(({ leaf }) => !leaf).map(({ op }) => op);
}

describe('winogradConvolutions', () => {
  it.each([
    ['a bias', conv2d(image, kernel, { padding: 1, bias }), 2e-6],
    ['no bias', conv2d(image, kernel, { padding: 1 }), 2e-6],
    [
      'a kernel of 16 bits',
      conv2d(image, cast(weight('narrow', [32, 16, 3, 3], 'bfloat16'), 'float32'), { padding: 1 }),
      2e-6,
    ],
  ])('computes what the plain convolution does, with %s', async (_, y, atol) => {
    const graph = createGraph({ y });
    const rewritten = winogradConvolutions(graph, 16);
    expect(ops(rewritten).filter((op) => op === 'conv2d')).toHaveLength(12);
    const engine = createOnnxruntimeEngine({ threads: 1 });
    for (const [height, width] of [
      [4, 1],
      [12, 7],
    ] as const) {
      const x = normals([2, 16, height, width]);
      const [plain, fast] = await Promise.all(
        [graph, rewritten].map(async (one) => (await (await engine.compile(one, weights)).run({ x })).y),
      );
      if (!plain || !fast) throw new Error('two results expected');
      expect(fast.shape).toEqual([2, 32, height, width]);
      const scale = toFloat32(plain).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(toFloat32(fast)).toBeAllclose(toFloat32(plain), { rtol: 0, atol: atol * scale });
    }
    await engine.close();
  });

  it.each<[string, Value]>([
    ['fewer channels', conv2d(image, weight('few', [8, 16, 3, 3]), { padding: 1 })],
    ['a kernel that is no weight', conv2d(image, input('kernel', [32, 16, 3, 3]), { padding: 1 })],
    ['other kernels', conv2d(image, weight('small', [32, 16, 1, 1]))],
    ['a stride', conv2d(input('x', ['B', 16, '8*H', '2*W']), kernel, { padding: 1, stride: 2 })],
    ['other padding', conv2d(image, kernel, { padding: [2, 1, 0, 1] })],
    ['groups', conv2d(input('x', ['B', 32, '4*H', 'W']), kernel, { padding: 1, groups: 2 })],
    ['rows that are no multiple of four', conv2d(input('x', ['B', 16, '4*H+2', 'W']), kernel, { padding: 1 })],
  ])('leaves %s as they are', (_, y) => {
    const graph = createGraph({ y });
    expect(winogradConvolutions(graph, 16)).toBe(graph);
  });
});
