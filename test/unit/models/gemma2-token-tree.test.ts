import { describe, expect, it } from 'vitest';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { packTokenTrees, rotaryAngles, treeMask } from '../../../src/models/gemma2-token-tree.ts';

const sequences = [
  [1, 2, 3],
  [1, 2],
  [1, 4],
  [1, 2, 3],
];

describe('packTokenTrees', () => {
  it('shares the rows of a common beginning', () => {
    const [tree, ...others] = packTokenTrees(sequences, 10);
    expect(others).toEqual([]);
    expect(tree).toEqual({
      tokens: [1, 2, 3, 4],
      parents: [-1, 0, 1, 0],
      positions: [0, 1, 2, 1],
      rows: new Map([
        [1, [0, 1]],
        [0, [0, 1, 2]],
        [3, [0, 1, 2]],
        [2, [0, 3]],
      ]),
    });
  });

  it('begins another tree when one is full', () => {
    const trees = packTokenTrees(sequences, 3);
    expect(trees.map(({ tokens }) => tokens)).toEqual([
      [1, 2, 3],
      [1, 4],
    ]);
    expect(packTokenTrees([[1, 2, 3]], 2)).toHaveLength(1);
    expect(packTokenTrees([], 2)).toEqual([]);
  });
});

describe('treeMask', () => {
  const [tree = { tokens: [], parents: [], positions: [], rows: new Map() }] = packTokenTrees(sequences, 10);
  const seen = (type: 'full_attention' | 'sliding_attention', window: number | null): string[] => {
    const mask = toFloat32(treeMask(tree, type, window));
    return [0, 1, 2, 3].map((row) =>
      Array.from(mask.slice(4 * row, 4 * row + 4), (x) => (x === 0 ? '1' : '.')).join(''),
    );
  };

  it('lets a token see itself and its own past', () => {
    expect(seen('full_attention', 2)).toEqual(['1...', '11..', '111.', '1..1']);
    expect(seen('sliding_attention', null)).toEqual(['1...', '11..', '111.', '1..1']);
  });

  it('ends the past at the sliding window', () => {
    expect(seen('sliding_attention', 2)).toEqual(['1...', '11..', '.11.', '1..1']);
  });
});

describe('rotaryAngles', () => {
  it('turns channel pair i by position theta^(-2i / headDim)', () => {
    const [tree] = packTokenTrees([[5, 6, 7]], 10);
    const { cos, sin } = rotaryAngles(tree ?? { tokens: [], parents: [], positions: [], rows: new Map() }, 4, 100);
    expect(cos.shape).toEqual([3, 1, 2]);
    const angles = [0, 0, 1, 0.1, 2, 0.2];
    expect(cos).toBeAllclose({ ...cos, data: Float32Array.from(angles, Math.cos) }, { rtol: 1e-6 });
    expect(sin).toBeAllclose({ ...sin, data: Float32Array.from(angles, Math.sin) }, { rtol: 1e-6 });
  });
});
