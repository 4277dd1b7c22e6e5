import { describe, expect, it } from 'vitest';

import { createSpeed } from '../../../src/log/speed.ts';

describe('createSpeed', () => {
  it('leaves out the time in which models are loaded', () => {
    const speed = createSpeed();
    expect(speed(0, 0)).toBeUndefined();
    expect(speed(1, 9)).toBeUndefined();
    for (let i = 1; i < 100; i++) expect(speed(1 + i, 9 + i / 100)).toBeUndefined();
    for (let i = 100; i < 1100; i++) speed(1 + i, 9 + i / 100);
    expect(speed(1101, 20)).toBeCloseTo(100, 0);
  });

  it('forgets what was at hand already', () => {
    const speed = createSpeed();
    speed(0, 0);
    speed(800, 1);
    for (let i = 1; i <= 3; i++) speed(800 + i, 1 + i);
    expect(speed(804, 5)).toBeCloseTo(1, 1);
  });

  it('takes a few items at least', () => {
    const speed = createSpeed();
    for (let i = 0; i < 10; i++) speed(i, 60 * i);
    expect(speed(10, 600)).toBeCloseTo(1 / 60, 6);
  });

  it('follows a change of the speed within half a minute, and costs as much after an hour', () => {
    const speed = createSpeed();
    for (let i = 0; i < 36_000; i++) speed(i, i / 10);
    for (let i = 1; i <= 70; i++) speed(36_000 + i, 3600 + i / 2);
    expect(speed(36_071, 3635.5)).toBeCloseTo(2, 1);
  });
});
