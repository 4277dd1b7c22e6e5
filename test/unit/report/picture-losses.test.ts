import { describe, expect, it } from 'vitest';

import { createPictureLosses } from '../../../src/report/picture-losses.ts';

describe('createPictureLosses', () => {
  it('compares pictures at the same noise, so that noisy draws make none look hard', () => {
    const losses = createPictureLosses();
    // Low noise costs 2 and high noise 0.2; `hard` costs half as much again as `easy` at both.
    for (const [id, sigma, loss] of [
      ['easy', 0.15, 2],
      ['easy', 0.15, 2],
      ['easy', 0.85, 0.2],
      ['hard', 0.15, 3],
      ['hard', 0.85, 0.3],
      ['hard', 0.85, 0.3],
    ] as const) {
      losses.add({ id, sigma, loss });
    }
    const [hardest, easiest] = losses.list();
    expect([hardest?.id, easiest?.id]).toEqual(['hard', 'easy']);
    expect(hardest?.loss).toBeCloseTo(1.2, 9); // a lower plain loss than 1.4 of the easy one
    expect(easiest?.loss).toBeCloseTo(1.4, 9);
    // Means of the bins: 7/3 and 0.8/3.
    expect(hardest?.difficulty).toBeCloseTo(3.6 / (7 / 3 + (2 * 0.8) / 3), 9);
    expect(easiest?.uses).toBe(3);
  });

  it('leaves out losses that are no numbers', () => {
    const losses = createPictureLosses();
    losses.add({ id: 'a', sigma: 1, loss: Number.NaN });
    expect(losses.list()).toEqual([]);
  });
});
