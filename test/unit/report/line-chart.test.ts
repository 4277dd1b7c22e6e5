import { describe, expect, it } from 'vitest';

import { formatValue, lineChart, roundTicks } from '../../../src/report/line-chart.ts';

describe('roundTicks', () => {
  it.each([
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [1, 40, [10, 20, 30, 40]],
    [3, 3, [3]],
  ])('divides %d to %d', (low, high, expected) => {
    const ticks = roundTicks(low, high, 5);
    expect(ticks.map((tick) => Number(tick.toFixed(9)))).toEqual(expected);
  });
});

describe('formatValue', () => {
  it.each([
    [0, '0'],
    [0.00015, '1.5e-4'],
    [0.80283, '0.8028'],
    [1.2, '1.2'],
    [40_000, '40000'],
  ])('writes %d as %s', (value, text) => {
    expect(formatValue(value)).toBe(text);
  });
});

describe('lineChart', () => {
  it('draws lines over their range and says in words where they go', () => {
    const points = [
      [0, 1],
      [10, 0],
    ] as const;
    const { html } = lineChart({ title: 'Loss', lines: [{ name: 'loss', color: 0, points }], fromZero: true });
    expect(html).toContain('Loss by step: loss from 1 to 0');
    // 5% of margin above and none below zero.
    expect(html).toMatch(/d="M0 14\.29L1000 300"/);
  });

  it('leaves a faint outlier out of the range and says in words how high it was', () => {
    const points = Array.from({ length: 200 }, (_, i) => [i, i === 150 ? 90 : (i % 7) / 7] as const);
    const band = points.map(([step, value]) => [step, value, step === 20 ? 95 : value] as const);
    const { html } = lineChart({ title: 'Loss', lines: [{ name: 'loss', color: 0, points, band, faint: true }] });
    expect(html).toContain('Beyond the plot, at most: loss 95 near step 20.');
    expect(html).toMatch(/"high":0\.9/);
    const clear = lineChart({ title: 'Loss', lines: [{ name: 'loss', color: 0, points }] });
    expect(clear.html).not.toContain('Beyond the plot');
    expect(clear.html).toMatch(/"high":94/);
  });

  it('is nothing without points', () => {
    expect(lineChart({ title: 'Loss', lines: [{ name: 'loss', color: 0, points: [] }] }).html).toBe('');
  });
});
