import { describe, expect, it } from 'vitest';

import { braillePlot } from '../../../src/dashboard/braille-plot.ts';
import { createSeries } from '../../../src/log/series.ts';

function points(values: readonly number[]) {
  const series = createSeries();
  for (const [i, value] of values.entries()) series.add(i, value);
  return series.points();
}

const textOf = (rows: ReturnType<typeof braillePlot>['rows']): readonly string[] =>
  rows.map((segments) => segments.map(({ text }) => text).join(''));

describe('braillePlot', () => {
  it('draws a falling line from the upper left to the lower right', () => {
    const { rows, high, low } = braillePlot(points([7, 6, 5, 4, 3, 2, 1, 0]), 4, 2, false);
    expect(textOf(rows)).toEqual(['⠑⢄  ', '  ⠑⢄']);
    expect([high, low]).toEqual([7, 0]);
  });

  it('draws a constant in the middle and one point at the left', () => {
    expect(textOf(braillePlot(points([2, 2, 2, 2]), 2, 1, false).rows)).toEqual(['⠤⠤']);
    expect(textOf(braillePlot(points([2]), 2, 1, false).rows)).toEqual(['⠄ ']);
    expect(textOf(braillePlot([], 2, 1).rows)).toEqual(['  ']);
  });

  it('puts the smoothed line before the raw values', () => {
    const { rows } = braillePlot(points([0, 0, 0, 1, 0, 0, 0, 0]), 4, 4);
    const layers = new Set(rows.flat().map(({ layer }) => layer));
    expect(layers).toEqual(new Set(['line', 'raw', 'none']));
    for (const segments of rows) expect(segments.map(({ text }) => text).join('')).toHaveLength(4);
  });

  it('draws 100,000 steps about as fast as 100', () => {
    const time = (steps: number): number => {
      const series = createSeries();
      for (let step = 1; step <= steps; step++) series.add(step, Math.sin(step));
      const start = performance.now();
      for (let i = 0; i < 10; i++) braillePlot(series.points(), 100, 20);
      return performance.now() - start;
    };
    time(100);
    // A frame at 10 a second may take 100 ms; one plot takes a few.
    expect(time(100_000) / 10).toBeLessThan(50);
  });
});
