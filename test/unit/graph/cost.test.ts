import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { executionOrder, graphCost } from '../../../src/graph/cost.ts';
import { gradients } from '../../../src/graph/gradients.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { reduceSum, reshape } from '../../../src/graph/ops/broadcast.ts';
import { conv2d } from '../../../src/graph/ops/conv.ts';
import { add, mul } from '../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { input, weight } from '../../../src/graph/value.ts';
import { standardCosts } from '../../standard-step.ts';

describe('graphCost', () => {
  it('counts a product as 2 M N K and moves what it reads and writes', () => {
    const y = matMul(input('x', ['B', 3, 4]), weight('w', [5, 4]), { transB: true });
    const cost = graphCost(createGraph({ y }), { B: 2 });
    // x 24, w 20 and y 30 float32; live are x and y.
    expect(cost).toEqual({ nodes: { matMul: 1 }, flops: 2 * 2 * 3 * 5 * 4, bytesMoved: 4 * 74, peakBytes: 4 * 54 });
  });

  it('counts a convolution by its kernel, and a view as nothing', () => {
    const x = input('x', [1, 4, 6, 6]);
    const y = conv2d(reshape(x, [1, 4, 6, 6]), weight('k', [4, 1, 3, 3]), { padding: 1, groups: 4 });
    const cost = graphCost(createGraph({ y }), {});
    expect(cost.flops).toBe(2 * 144 * 9);
    expect(cost.bytesMoved).toBe(4 * (144 + 36 + 144));
    expect(cost.peakBytes).toBe(4 * (144 + 144));
  });

  it('frees values after their last use', () => {
    const x = input('x', [100]);
    const chain = [1, 2, 3, 4].reduce((value, factor) => mul(value, factor), x);
    const floats = graphCost(createGraph({ chain }), {}).peakBytes / 4;
    // x, one value and the next, and the four factors.
    expect(floats).toBe(300 + 4);
  });
});

describe('executionOrder', () => {
  it('works towards the last result first, and of two inputs at the later one', () => {
    const x = input('x', [2]);
    const [a, b] = [mul(x, 2), mul(x, 3)];
    const both = add(a, b);
    const order = executionOrder(createGraph({ first: mul(both, 5), last: mul(a, 7) }));
    expect(order.map(({ op, outputs: [value] }) => (value === a ? 'a' : value === b ? 'b' : op))).toEqual([
      'a',
      'mul',
      'b',
      'add',
      'mul',
    ]);
  });

  it('computes gradients on the way back, the last layer first', () => {
    const x = input('x', [2, 2]);
    const [w1, w2] = [input('w1', [2, 2]), input('w2', [2, 2])];
    const loss = reduceSum(matMul(matMul(x, w1), w2), [0, 1], false);
    const [g1, g2] = gradients(loss, [w1, w2]);
    if (!g1 || !g2) throw new RangeError('two gradients expected');
    const order = executionOrder(createGraph({ g1, g2 }));
    expect(order.indexOf(g2.node)).toBeLessThan(order.indexOf(g1.node));
  });
});

const costSchema = z.object({
  nodes: z.record(z.string(), z.number()),
  flops: z.number(),
  bytesMoved: z.number(),
  peakBytes: z.number(),
});
const recorded = z
  .object({ reason: z.string().min(20), costs: z.record(z.string(), costSchema) })
  // Rewritten by `npm run bench -- cost --reason "..."`.
  .parse(JSON.parse(readFileSync(new URL('./goldens/step-cost.json', import.meta.url), 'utf8')));

describe('the standard training step', () => {
  it('takes what is recorded; if this is meant, run npm run bench -- cost --reason "what changed and why"', async () => {
    expect(await standardCosts()).toEqual(recorded.costs);
  });
});
