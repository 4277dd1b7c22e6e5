import { describe, expect, it } from 'vitest';

import { editDistance, nearest } from '../../../src/config/edit-distance.ts';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['rank', 'rank', 0],
    ['rank', '', 4],
    ['rnak', 'rank', 1],
    ['rank', 'tank', 1],
    ['ranks', 'rank', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
  ])('of %j and %j is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('nearest', () => {
  it('finds what was meant, whatever the case and the hyphens', () => {
    expect(nearest('Learning-Rate', ['lr', 'learning_rate'])).toBe('learning_rate');
  });
  it('finds nothing where a third of the letters is wrong', () => {
    expect(nearest('seed', ['path', 'sample'])).toBeUndefined();
    expect(nearest('x'.repeat(1000), ['x'.repeat(999)])).toBeUndefined();
  });
});
