import { describe, expect, it } from 'vitest';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { planPasses, rotaryAngles, rowOf, type Segment, segmentMask } from '../../../src/models/gemma2-segments.ts';

const sequences = [
  { inputIds: [1, 2, 3], shared: 2 },
  { inputIds: [7] },
  { inputIds: [1, 2, 4, 5], shared: 2 },
  { inputIds: [1, 2, 3], shared: 2 },
];

const shape = ({ tokens, before, row }: Segment): readonly unknown[] => [row, tokens, before?.tokens];

describe('planPasses', () => {
  it('has what sequences share once', () => {
    const [pass, ...others] = planPasses(sequences, 10);
    expect(others).toEqual([]);
    expect(pass?.segments.map(shape)).toEqual([
      [0, [1, 2], undefined],
      [2, [3], [1, 2]],
      [3, [4, 5], [1, 2]],
      [5, [7], undefined],
    ]);
    expect(pass?.rows).toBe(6);
    expect([...(pass?.ends ?? [])].map(([index, { tokens }]) => [index, tokens])).toEqual([
      [0, [3]],
      [2, [4, 5]],
      [3, [3]],
      [1, [7]],
    ]);
  });

  it('begins another pass when one is full, and cuts nowhere else for it', () => {
    expect(planPasses(sequences, 4).map(({ segments }) => segments.map(shape))).toEqual([
      [
        [0, [1, 2], undefined],
        [2, [3], [1, 2]],
      ],
      [
        [0, [1, 2], undefined],
        [2, [4, 5], [1, 2]],
      ],
      [
        [0, [1, 2], undefined],
        [2, [3], [1, 2]],
        [3, [7], undefined],
      ],
    ]);
    expect(planPasses([{ inputIds: [1, 2, 3] }], 2)).toHaveLength(1);
    expect(planPasses([], 2)).toEqual([]);
  });

  it('leaves a token behind what is shared', () => {
    const [pass] = planPasses([{ inputIds: [1, 2], shared: 2 }], 10);
    expect(pass?.segments.map(shape)).toEqual([
      [0, [1], undefined],
      [1, [2], [1]],
    ]);
  });
});

describe('rowOf', () => {
  it('finds a token by its position', () => {
    const end = planPasses(sequences, 10)[0]?.ends.get(2);
    expect(end && [0, 1, 2, 3].map((position) => rowOf(end, position))).toEqual([0, 1, 3, 4]);
  });
});

describe('segmentMask', () => {
  const seen = (type: 'full_attention' | 'sliding_attention', window: number | null): string[] => {
    const before = { tokens: [1, 2], before: undefined, row: 0 };
    const mask = toFloat32(segmentMask({ tokens: [4, 5], before, row: 3 }, type, window));
    return [0, 1].map((row) => Array.from(mask.slice(4 * row, 4 * row + 4), (x) => (x === 0 ? '1' : '.')).join(''));
  };

  it('lets a token see itself and its own past', () => {
    expect(seen('full_attention', 2)).toEqual(['111.', '1111']);
    expect(seen('sliding_attention', null)).toEqual(['111.', '1111']);
  });

  it('ends the past at the sliding window', () => {
    expect(seen('sliding_attention', 2)).toEqual(['.11.', '..11']);
  });
});

describe('rotaryAngles', () => {
  it('turns channel pair i by position theta^(-2i / headDim)', () => {
    const { cos, sin } = rotaryAngles([0, 1, 2], 4, 100);
    expect(cos.shape).toEqual([3, 1, 2]);
    const angles = [0, 0, 1, 0.1, 2, 0.2];
    expect(cos).toBeAllclose({ ...cos, data: Float32Array.from(angles, Math.cos) }, { rtol: 1e-6 });
    expect(sin).toBeAllclose({ ...sin, data: Float32Array.from(angles, Math.sin) }, { rtol: 1e-6 });
  });
});
