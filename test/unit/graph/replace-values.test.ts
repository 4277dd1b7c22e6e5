import { describe, expect, it } from 'vitest';

import { createGraph } from '../../../src/graph/graph.ts';
import { add, mul } from '../../../src/graph/ops/elementwise.ts';
import { split } from '../../../src/graph/ops/movement.ts';
import { replaceValues } from '../../../src/graph/replace-values.ts';
import { input } from '../../../src/graph/value.ts';

describe('replaceValues', () => {
  it('begins a graph in the middle, and leaves what does not depend on it as it is', () => {
    const [a, b] = [input('a', [2]), input('b', [2])];
    const side = mul(b, 2);
    const middle = mul(a, 3);
    const end = add(mul(middle, side), side);
    const cut = replaceValues(end, new Map([[middle, input('c', [2])]]));
    expect([...createGraph({ cut }).inputs.keys()].sort()).toEqual(['b', 'c']);
    expect(createGraph({ cut }).nodes).toContain(side.node);
    expect([...createGraph({ end }).inputs.keys()].sort()).toEqual(['a', 'b']);
    expect(replaceValues(side, new Map([[middle, a]]))).toBe(side);
    expect(replaceValues(middle, new Map([[middle, a]]))).toBe(a);
  });

  it('replaces one of several outputs of a node', () => {
    const x = input('x', [2]);
    const [first = x, second = x] = split(mul(x, 2), 0, [1, 1]);
    const cut = replaceValues(add(first, second), new Map([[second, input('y', [1])]]));
    expect([...createGraph({ cut }).inputs.keys()].sort()).toEqual(['x', 'y']);
  });
});
