import { describe, expect, it } from 'vitest';

import { meanMetrics, sampleMetrics } from '../../../src/metrics/sample-metrics.ts';

const vector = (...values: readonly number[]): Float32Array => Float32Array.from(values);
const sample = { index: 0, prompt: 'a dog', seed: 1 };

describe('sampleMetrics', () => {
  it('is the mean cosine with the training pictures, and the cosine with the prompt', () => {
    const measured = sampleMetrics({
      ...sample,
      role: 'subject',
      picture: vector(2, 0),
      text: vector(3, 4),
      references: [vector(1, 0), vector(0, 1), vector(-4, 3)],
      start: vector(1, 0),
    });
    expect(measured).toEqual({
      ...sample,
      role: 'subject',
      clipI: expect.closeTo(0.2 / 3, 6),
      clipT: expect.closeTo(0.6, 6),
    });
  });

  it('compares a class prompt with its picture of step 0', () => {
    const measured = sampleMetrics({
      ...sample,
      role: 'class',
      picture: vector(1, 0),
      text: vector(1, 0),
      references: [vector(1, 0)],
      start: vector(4, 3),
    });
    expect(measured.clipIToStart).toBeCloseTo(0.8, 6);
  });
});

describe('meanMetrics', () => {
  it('is over the prompts of a role, and leaves out what not all of them have', () => {
    const measured = [
      { ...sample, role: 'subject', clipI: 0.2, clipT: 0.4 },
      { ...sample, role: 'class', clipI: 0.1, clipT: 0.3, clipIToStart: 1 },
      { ...sample, role: 'class', clipI: 0.3, clipT: 0.1 },
    ] as const;
    expect(meanMetrics(measured, 'subject')).toEqual({ clipI: 0.2, clipT: 0.4 });
    expect(meanMetrics(measured, 'class')).toEqual({ clipI: 0.2, clipT: 0.2 });
    expect(meanMetrics(measured.slice(0, 1), 'class')).toBeUndefined();
  });
});
