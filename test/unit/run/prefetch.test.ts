import { setImmediate } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { prefetch } from '../../../src/run/prefetch.ts';

describe('prefetch', () => {
  it('gives batches in order, each loaded once, also to a caller who does not wait', async () => {
    const loaded: string[] = [];
    const batch = prefetch(['a', 'b', 'c', 'd'], 7, (value, index) => {
      loaded.push(`${value}${index}`);
      return Promise.resolve(value);
    });
    expect([await batch(7), await batch(8)]).toEqual(['a', 'b']);
    await setImmediate();
    expect([await batch(9), await batch(10)]).toEqual(['c', 'd']);
    await setImmediate();
    expect(loaded).toEqual(['a7', 'b8', 'c9', 'd10']);
    await expect(batch(11)).rejects.toThrow('no batch 11');
  });

  it('loads the next batch only when the caller has gone on with this one', async () => {
    const told: string[] = [];
    const batch = prefetch([1, 2], 0, (_, index) => {
      told.push(`loads ${index}`);
      return Promise.resolve(index);
    });
    await batch(0);
    told.push('goes on with 0');
    await setImmediate();
    expect(told).toEqual(['loads 0', 'goes on with 0', 'loads 1']);
  });

  it('tells of a batch that cannot be loaded when it is asked for, and of the wrong number', async () => {
    const batch = prefetch([1, 2], 0, (_, index) =>
      index === 0 ? Promise.resolve(0) : Promise.reject(new Error('the disk is gone')),
    );
    await expect(batch(1)).rejects.toThrow('0 is next, 1 was asked for');
    await batch(0);
    await setImmediate();
    await expect(batch(1)).rejects.toThrow('the disk is gone');
  });
});
