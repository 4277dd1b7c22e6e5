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
    [0.00015, '1.50e-4'],
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

  it('is nothing without points', () => {
    expect(lineChart({ title: 'Loss', lines: [{ name: 'loss', color: 0, points: [] }] }).html).toBe('');
  });
});
