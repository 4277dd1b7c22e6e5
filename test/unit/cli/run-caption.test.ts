import { describe, expect, it } from 'vitest';

import { createProgressText } from '../../../src/cli/run-caption.ts';

describe('createProgressText', () => {
  it('has a bar, the speed and the time left', () => {
    const text = createProgressText();
    expect(text(0, 40, 0)).toBe('captions [--------------------] 0/40');
    expect(text(1, 40, 2)).toBe('captions [#-------------------] 1/40');
    expect(text(10, 40, 5)).toBe('captions [#####---------------] 10/40, 3.0 pictures/s, 10 s left');
  });

  it('forgets the speed of pictures that were captioned before', () => {
    const text = createProgressText();
    text(0, 1000, 0);
    text(800, 1000, 1);
    for (let i = 1; i <= 60; i++) text(800 + i, 1000, 1 + i);
    expect(text(861, 1000, 62)).toMatch(/861\/1000, 1\.0 pictures\/s, 2 min 19 s left$/);
  });
});
