import { describe, expect, it } from 'vitest';

import { clipWindows } from '../../../src/metrics/clip-windows.ts';

describe('clipWindows', () => {
  it('has one window for what fits', () => {
    expect(clipWindows([1, 2, 3], 3, 'best')).toEqual([[1, 2, 3]]);
    expect(clipWindows([], 3, 'best')).toEqual([[]]);
  });

  it('covers a longer caption by windows that overlap by half, the last at the end', () => {
    expect(clipWindows([1, 2, 3, 4, 5, 6, 7], 4, 'best')).toEqual([
      [1, 2, 3, 4],
      [3, 4, 5, 6],
      [4, 5, 6, 7],
    ]);
  });

  it('takes the beginning alone where that is asked', () => {
    expect(clipWindows([1, 2, 3, 4, 5], 2, 'truncate')).toEqual([[1, 2]]);
  });
});
