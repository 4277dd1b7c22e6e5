import { describe, expect, it } from 'vitest';

import { createSeries, smoothed, smoothingSteps } from '../../../src/log/series.ts';

describe('createSeries', () => {
  it('keeps every value until it is full, and then merges neighbours', () => {
    const series = createSeries(4);
    for (const [i, value] of [5, 1, 3, 3].entries()) series.add(i + 1, value);
    expect(series.points().map(({ mean }) => mean)).toEqual([5, 1, 3, 3]);
    series.add(5, 8);
    expect(series.points()).toEqual([
      { from: 1, to: 2, mean: 3, min: 1, max: 5, count: 2 },
      { from: 3, to: 4, mean: 3, min: 3, max: 3, count: 2 },
      { from: 5, to: 5, mean: 8, min: 8, max: 8, count: 1 },
    ]);
    expect(series.last()).toBe(8);
  });

  it('stays within its capacity however long a run is, and loses no value', () => {
    const series = createSeries(100);
    for (let step = 1; step <= 100_000; step++) series.add(step, step);
    const points = series.points();
    expect(points.length).toBeLessThanOrEqual(100);
    expect(points.reduce((sum, { count }) => sum + count, 0)).toBe(100_000);
    expect(points.reduce((sum, { count, mean }) => sum + count * mean, 0)).toBeCloseTo((100_000 * 100_001) / 2, -2);
  });

  it('forgets the steps after a checkpoint, and leaves out what is no number', () => {
    const series = createSeries();
    for (const value of [1, 2, Number.NaN, 4]) series.add(value, value);
    series.truncate(2);
    expect(series.points().map(({ to }) => to)).toEqual([1, 2]);
  });
});

describe('smoothed', () => {
  it('starts at the first value and follows, as fast as the steps between points say', () => {
    const series = createSeries();
    series.add(10, 1);
    series.add(20, 3);
    const weight = Math.exp(-1);
    const [first, second] = smoothed(series.points(), 10);
    expect(first).toBe(1);
    expect(second).toBeCloseTo((weight * 1 + 3) / (weight + 1), 12);
  });

  it('keeps a constant', () => {
    const series = createSeries(8);
    for (let step = 1; step <= 50; step++) series.add(step, 0.25);
    const points = series.points();
    for (const value of smoothed(points, smoothingSteps(points))) expect(value).toBeCloseTo(0.25, 12);
  });
});
