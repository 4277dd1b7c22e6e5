import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { ancestors, gradients } from '../../../src/graph/gradients.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { reduceSum } from '../../../src/graph/ops/broadcast.ts';
import { add, cast, floor, mul, tanh } from '../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { reduceMean } from '../../../src/graph/ops/reduce.ts';
import { float32, type Tensor } from '../../../src/graph/tensor.ts';
import { input, type Value, weight } from '../../../src/graph/value.ts';

const engine = createOnnxruntimeEngine({ threads: 1 });
afterAll(() => engine.close());

async function evaluate(
  values: Readonly<Record<string, Value>>,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const executable = await engine.compile(createGraph(values), new Map());
  return executable.run(feeds);
}

function sum(x: Value): Value {
  return reduceSum(
    x,
    x.shape.map((_, axis) => axis),
    false,
  );
}

/** Layers of tanh(h W + h A), W frozen; A is there from layer `from` on. */
function layers(count: number, from: number): { readonly loss: Value; readonly adapters: readonly Value[] } {
  const adapters: Value[] = [];
  let h = input('x', ['N', 4]);
  for (let i = 0; i < count; i++) {
    let y = matMul(h, weight(`w${i}`, [4, 4]));
    if (i >= from) {
      const adapter = input(`a${i}`, [4, 4]);
      adapters.push(adapter);
      y = add(y, matMul(h, adapter));
    }
    h = tanh(y);
  }
  return { loss: reduceMean(mul(h, h), undefined, false), adapters };
}

/** How many nodes the backward pass has. */
function backwardNodes(loss: Value, parameters: readonly Value[]): number {
  const forward = new Set(ancestors([loss]));
  return ancestors(gradients(loss, parameters)).filter((node) => !forward.has(node) && !node.leaf).length;
}

describe('gradients', () => {
  it('adds up what comes from several uses', async () => {
    const x = input('x', [2]);
    const y = mul(x, x); // x^2
    const loss = sum(add(mul(y, x), add(y, x))); // x^3 + x^2 + x
    const [dx] = gradients(loss, [x]);
    if (!dx) throw new Error('no gradient');
    const outs = await evaluate({ dx }, { x: float32([2], [1, -2]) });
    expect(outs['dx']).toBeAllclose(float32([2], [6, 9])); // 3 x^2 + 2 x + 1
  });

  it('gives every parameter its own, in their order, of their shapes', async () => {
    const [row, column] = [input('row', [3]), input('column', ['B', 1])];
    const loss = sum(mul(row, column));
    const [dColumn, dRow] = gradients(loss, [column, row]);
    if (!dRow || !dColumn) throw new Error('no gradient');
    expect([dColumn.shape, dRow.shape]).toEqual([['B', 1], [3]]);
    const outs = await evaluate(
      { dRow, dColumn, loss },
      { row: float32([3], [1, 2, 3]), column: float32([2, 1], [10, 20]) },
    );
    expect(outs['dRow']).toBeAllclose(float32([3], [30, 30, 30]));
    expect(outs['dColumn']).toBeAllclose(float32([2, 1], [6, 6]));
    expect(outs['loss']).toBeAllclose(float32([], [180]));
  });

  it('may be taken in what is no leaf', async () => {
    const x = input('x', [2]);
    const h = mul(x, x);
    const [dh] = gradients(sum(mul(h, 3)), [h]);
    if (!dh) throw new Error('no gradient');
    expect((await evaluate({ dh }, {}))['dh']).toBeAllclose(float32([2], [3, 3]));
  });

  it('computes nothing below the first adapter', () => {
    const all = layers(6, 0);
    const last = layers(6, 5);
    const [first, second] = [layers(7, 6), layers(9, 8)];
    // Frozen layers below cost nothing, however many there are.
    expect(backwardNodes(last.loss, last.adapters)).toBe(backwardNodes(first.loss, first.adapters));
    expect(backwardNodes(first.loss, first.adapters)).toBe(backwardNodes(second.loss, second.adapters));
    expect(backwardNodes(all.loss, all.adapters)).toBeGreaterThan(4 * backwardNodes(last.loss, last.adapters));
  });

  it('gives a frozen weight no gradient', () => {
    const { loss, adapters } = layers(3, 0);
    const forward = new Set(ancestors([loss]));
    const products = ancestors(gradients(loss, adapters)).filter((node) => !forward.has(node) && node.op === 'matMul');
    // dA of each layer, and h's gradient through W and through A of all but the first.
    expect(products).toHaveLength(3 + 2 + 2);
  });

  it('refuses what has no gradient', () => {
    const [x, y] = [input('x', [2]), input('y', [2])];
    expect(() => gradients(x, [x])).toThrow('a scalar loss expected, got [2]');
    expect(() => gradients(sum(x), [y])).toThrow('y does not reach the loss');
    expect(() => gradients(sum(mul(floor(x), y)), [x])).toThrow(
      'floor has no gradient and stands between a parameter and the loss',
    );
    expect(gradients(sum(mul(floor(x), y)), [y])).toHaveLength(1);
  });

  it('is 1 for the loss itself', async () => {
    const x = input('x', []);
    const [dx] = gradients(x, [x]);
    if (!dx) throw new Error('no gradient');
    expect((await evaluate({ dx }, {}))['dx']).toBeAllclose(float32([], [1]));
  });

  it('casts back to the dtype that a value has', () => {
    const x = input('x', [2]);
    const [dx] = gradients(cast(sum(cast(x, 'float64')), 'float32'), [x]);
    expect(dx?.dtype).toBe('float32');
  });
});
