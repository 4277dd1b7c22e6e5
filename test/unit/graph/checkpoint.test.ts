import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createTfjsEngine } from '../../../src/engine/tfjs.ts';
import { checkpoint } from '../../../src/graph/checkpoint.ts';
import { ancestors, gradients } from '../../../src/graph/gradients.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { silu } from '../../../src/graph/ops/activation.ts';
import { add, mul } from '../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { layerNorm } from '../../../src/graph/ops/normalization.ts';
import { reduceMean } from '../../../src/graph/ops/reduce.ts';
import { scheduleNodes } from '../../../src/graph/schedule.ts';
import { float32, type Tensor } from '../../../src/graph/tensor.ts';
import { input, type Node, type Value } from '../../../src/graph/value.ts';
import { createRandom } from '../../../src/random.ts';
import { plainTfjs } from '../../plain-tfjs.ts';

const WIDTH = 8;

/** Blocks h + silu(norm(h) A) B as in a transformer, with something before the first and after the last of them. */
function network(blocks: number): {
  readonly outputs: Readonly<Record<string, Value>>;
  readonly loss: Value;
  readonly boundaries: readonly Value[];
  readonly condition: Value;
} {
  const parameters: Record<string, Value> = {};
  const parameter = (name: string): Value => (parameters[name] = input(name, [WIDTH, WIDTH]));
  const before = matMul(input('x', ['N', WIDTH]), parameter('first'));
  const condition = silu(matMul(input('c', [1, WIDTH]), parameter('condition')));
  let h = before;
  const boundaries = [h];
  for (let i = 0; i < blocks; i++) {
    const normed = mul(layerNorm(h, 1e-6), add(1, condition));
    h = add(h, matMul(silu(matMul(normed, parameter(`a${i}`))), parameter(`b${i}`)));
    boundaries.push(h);
  }
  const y = matMul(layerNorm(h, 1e-6), parameter('last'));
  const loss = reduceMean(mul(y, y), undefined, false);
  const names = Object.keys(parameters);
  const found = gradients(loss, Object.values(parameters));
  const outputs = Object.fromEntries(found.map((value, i) => [`d_${names[i]}`, value]));
  return { outputs: { loss, ...outputs }, loss, boundaries, condition };
}

function feeds(blocks: number): Record<string, Tensor> {
  const random = createRandom('checkpoint');
  const names = ['first', 'condition', 'last', ...Array.from({ length: blocks }, (_, i) => [`a${i}`, `b${i}`]).flat()];
  return {
    x: float32([5, WIDTH], random.normals(5 * WIDTH)),
    c: float32([1, WIDTH], random.normals(WIDTH)),
    ...Object.fromEntries(names.map((name) => [name, float32([WIDTH, WIDTH], random.normals(WIDTH ** 2))])),
  };
}

const engine = createOnnxruntimeEngine({ threads: 1 });
afterAll(() => engine.close());

describe('checkpoint', () => {
  it('computes the same numbers', async () => {
    const { outputs, loss, boundaries } = network(3);
    const rewritten = createGraph(checkpoint(outputs, { loss, boundaries }));
    const plain = await (await engine.compile(createGraph(outputs), new Map())).run(feeds(3));
    const recomputed = await (await engine.compile(rewritten, new Map(), { recomputes: true })).run(feeds(3));
    const tfjs = createTfjsEngine({ tf: plainTfjs, backend: 'cpu' });
    const walked = await (await tfjs.compile(rewritten, new Map())).run(feeds(3));
    await tfjs.close();
    expect(Object.keys(recomputed)).toEqual(Object.keys(plain));
    for (const [name, expected] of Object.entries(plain)) {
      expect(recomputed[name]).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
      expect(walked[name]).toBeAllclose(expected, { rtol: 1e-4, atol: 1e-4 });
    }
  });

  it('lets the backward pass of the blocks use the boundaries and what came before them, and nothing between', () => {
    const { outputs, loss, boundaries, condition } = network(3);
    const { loss: same, ...slopes } = checkpoint(outputs, { loss, boundaries });
    expect(same).toBe(loss);
    const forward = new Set(ancestors([loss]));
    const kept = new Set(boundaries);
    const last = boundaries.at(-1)?.node.id ?? 0;
    const backward = ancestors(Object.values<Value>(slopes)).filter((node) => !forward.has(node));
    const used = new Set(backward.flatMap((node) => node.inputs).filter((value) => forward.has(value.node)));
    const between = [...used].filter(
      ({ node }) =>
        !node.leaf && node.id > condition.node.id && node.id <= last && !node.outputs.some((value) => kept.has(value)),
    );
    expect(between).toEqual([]);
    expect(boundaries.slice(0, -1).every((value) => used.has(value))).toBe(true); // each block's input
  });

  it('recomputes each node once, and nothing that no gradient needs', () => {
    const { outputs, loss, boundaries } = network(2);
    const count = (nodes: readonly Node[], op: string): number => nodes.filter((node) => node.op === op).length;
    const plain = ancestors(Object.values(outputs));
    const rewritten = ancestors(Object.values<Value>(checkpoint(outputs, { loss, boundaries })));
    // Of each block the norm, the product before silu, and silu. The condition, which all blocks use, is kept.
    expect(count(rewritten, 'layerNorm') - count(plain, 'layerNorm')).toBe(2);
    expect(count(rewritten, 'silu') - count(plain, 'silu')).toBe(2);
    expect(count(rewritten, 'matMul') - count(plain, 'matMul')).toBe(2);
  });

  it('changes nothing without boundaries', () => {
    const { outputs, loss } = network(1);
    const rewritten = checkpoint(outputs, { loss, boundaries: [] });
    expect(ancestors(Object.values<Value>(rewritten))).toHaveLength(ancestors(Object.values(outputs)).length);
  });
});

describe('scheduleNodes', () => {
  it('is a topological order in which a block is recomputed just before its gradients', () => {
    const { outputs, loss, boundaries } = network(4);
    const graph = createGraph(checkpoint(outputs, { loss, boundaries }));
    const order = scheduleNodes(graph);
    const at = new Map(order.map((node, i) => [node, i]));
    expect(order).toHaveLength(graph.nodes.length);
    for (const node of order) {
      for (const { node: parent } of node.inputs) expect(at.get(parent)).toBeLessThan(at.get(node) ?? 0);
    }
    // The gradient of the last block's product is there before the first block is recomputed.
    const done = at.get(graph.outputs.get('d_b3')?.node ?? loss.node) ?? 0;
    const forward = new Set(ancestors([loss]));
    const copies = order
      .filter((node) => node.op === 'layerNorm' && !forward.has(node))
      .map((node) => at.get(node) ?? 0);
    expect(copies.filter((position) => position < done)).toHaveLength(1);
  });
});
