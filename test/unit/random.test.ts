import { describe, expect, it } from 'vitest';
import { createRandom, naturalLog, restoreRandom } from '../../src/random.ts';

const draw = (count: number, next: () => number): number[] => Array.from({ length: count }, next);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('createRandom', () => {
  it('gives the same numbers for the same seed, as a number or as text, and others for another', () => {
    const first = draw(20, createRandom(42).uniform);
    expect(draw(20, createRandom('42').uniform)).toEqual(first);
    expect(draw(20, createRandom(43).uniform)).not.toEqual(first);
  });

  it('gives these numbers on every machine and every version of Node', () => {
    const random = createRandom('sana');
    expect(draw(2, random.uniform)).toEqual([0.21545951252478834, 0.06964535441985287]);
    expect(draw(3, random.normal)).toEqual([0.47448928735767615, -0.12007000285875878, -0.2037972690861784]);
  });

  it('computes xoshiro128**: the words of its C source from the state 1, 2, 3, 4', () => {
    // 11520, 0, 5927040, 70819200 are the first outputs for that state; two make one number of 27 + 26 bits.
    const random = restoreRandom({ algorithm: 'xoshiro128**', key: '0'.repeat(32), words: [1, 2, 3, 4], spare: null });
    expect(random.uniform()).toBe(((11520 >>> 5) * 2 ** 26 + 0) / 2 ** 53);
    expect(random.uniform()).toBe(((5927040 >>> 5) * 2 ** 26 + (70819200 >>> 6)) / 2 ** 53);
  });

  it('draws uniforms in [0, 1) with mean 1/2 and variance 1/12', () => {
    const values = draw(50_000, createRandom(1).uniform);
    expect(Math.min(...values.slice(0, 5000))).toBeGreaterThanOrEqual(0);
    expect(values.every((value) => value < 1)).toBe(true);
    expect(mean(values)).toBeCloseTo(0.5, 2);
    expect(mean(values.map((value) => (value - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
  });

  it('draws normals with the moments 0, 1, 0, 3 and without correlation between neighbours', () => {
    const values = draw(100_000, createRandom(2).normal);
    expect(Math.abs(mean(values))).toBeLessThan(0.015);
    expect(Math.abs(mean(values.map((value) => value ** 2)) - 1)).toBeLessThan(0.02);
    expect(Math.abs(mean(values.map((value) => value ** 3)))).toBeLessThan(0.05);
    expect(Math.abs(mean(values.map((value) => value ** 4)) - 3)).toBeLessThan(0.15);
    expect(Math.abs(mean(values.slice(1).map((value, i) => value * (values[i] ?? 0))))).toBeLessThan(0.015);
  });

  it('fills normals from the same stream as normal', () => {
    const single = createRandom(5);
    expect([...createRandom(5).normals(7)]).toEqual(draw(7, single.normal).map(Math.fround));
  });

  it('draws integers evenly and refuses a range that is none', () => {
    const counts = [0, 0, 0];
    const random = createRandom(3);
    for (let i = 0; i < 30_000; i++) {
      const value = random.integer(3);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
    expect(() => random.integer(0)).toThrow('n is 0');
  });

  it('shuffles in place into every order, each as often', () => {
    const random = createRandom(4);
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffle(['a', 'b', 'c']).join('');
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
    const array = [1, 2, 3, 4, 5];
    expect(random.shuffle(array)).toBe(array);
  });

  it('forks by label and seed, whatever has been drawn, into streams that do not correlate', () => {
    const random = createRandom(6);
    const before = draw(5, random.fork('noise').normal);
    random.normals(101);
    expect(draw(5, random.fork('noise').normal)).toEqual(before);
    expect(draw(5, random.fork('sigma').normal)).not.toEqual(before);
    expect(draw(5, createRandom(7).fork('noise').normal)).not.toEqual(before);
    const [a, b] = [random.fork('a').normals(50_000), random.fork('b').normals(50_000)];
    expect(Math.abs(mean([...a].map((value, i) => value * (b[i] ?? 0))))).toBeLessThan(0.02);
  });

  it('refuses a seed that is not a number', () => {
    expect(() => createRandom(Number.NaN)).toThrow('the seed is NaN');
  });
});

describe('restoreRandom', () => {
  it('goes on from a state that went through JSON, also in the middle of a pair of normals', () => {
    const random = createRandom(8);
    random.normals(3);
    const restored = restoreRandom(JSON.parse(JSON.stringify(random.state())));
    expect(draw(9, restored.normal)).toEqual(draw(9, random.normal));
    expect(draw(3, restored.fork('x').uniform)).toEqual(draw(3, random.fork('x').uniform));
  });

  it('refuses what is no state', () => {
    const state = createRandom(9).state();
    expect(() => restoreRandom({ ...state, words: [0, 0, 0, 0] })).toThrow('not a state');
    expect(() => restoreRandom({ ...state, words: [1, 2, 3] })).toThrow('not a state');
  });
});

describe('naturalLog', () => {
  it('agrees with Math.log to a few units in the last place', () => {
    for (const x of [1e-300, 1e-12, 0.1, 0.5, 0.7071, 0.999999, 1, 1.5, 2, 3e10]) {
      expect(Math.abs(naturalLog(x) - Math.log(x))).toBeLessThanOrEqual(5e-16 * Math.max(Math.abs(Math.log(x)), 1e-6));
    }
  });
});
