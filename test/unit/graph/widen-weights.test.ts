import { describe, expect, it } from 'vitest';

import { createGraph } from '../../../src/graph/graph.ts';
import { add, cast, mul } from '../../../src/graph/ops/elementwise.ts';
import { input, weight } from '../../../src/graph/value.ts';
import { widenWeights } from '../../../src/graph/widen-weights.ts';

const x = input('x', ['B', 2]);

describe('widenWeights', () => {
  it('reads weights of 16 bits as float32 in place of casting them', () => {
    const w = cast(weight('w', [2], 'bfloat16'), 'float32');
    const graph = widenWeights(
      createGraph({ y: add(mul(x, w), cast(weight('b', [2], 'float16'), 'float32')), wide: w }),
    );
    expect([...graph.weights].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['w#float32', 'float32', [2]],
      ['b#float32', 'float32', [2]],
    ]);
    expect(graph.nodes.map(({ op }) => op)).not.toContain('cast');
    expect([...graph.outputs].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['y', 'float32', ['B', 2]],
      ['wide', 'float32', [2]],
    ]);
    expect([...graph.inputs.keys()]).toEqual(['x']);
  });

  it('keeps the order of the computation, and graphs that have none', () => {
    const w = cast(weight('w', [2], 'bfloat16'), 'float32');
    const early = mul(x, w);
    const graph = createGraph({ y: add(mul(add(x, 1), early), early) });
    const isOp = ({ leaf, op }: { leaf?: unknown; op: string }): boolean => leaf === undefined && op !== 'cast';
    expect(
      widenWeights(graph)
        .nodes.filter(isOp)
        .map(({ op }) => op),
    ).toEqual(graph.nodes.filter(isOp).map(({ op }) => op));
    const plain = createGraph({ y: mul(x, weight('w', [2])) });
    expect(widenWeights(plain)).toBe(plain);
  });
});
