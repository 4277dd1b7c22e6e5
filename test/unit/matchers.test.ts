import { describe, expect, it } from 'vitest';
import { float32, tensor } from '../../src/graph/tensor.ts';
import { compareAllclose } from '../matchers.ts';

describe('toBeAllclose', () => {
  it('passes within atol + rtol * |expected| and fails beyond it', () => {
    expect(1.001).toBeAllclose(1, { rtol: 0, atol: 0.0011 });
    expect(1.001).not.toBeAllclose(1, { rtol: 0, atol: 0.0009 });
    expect([100.5]).toBeAllclose([100], { rtol: 0.006, atol: 0 });
  });

  it('names the worst element by its index in the tensor', () => {
    const { pass, message } = compareAllclose(float32([2, 2], [1, 2, 3, 4.5]), float32([2, 2], [1, 2, 3.25, 4]), {
      rtol: 0,
      atol: 0.125,
    });
    expect(pass).toBe(false);
    expect(message).toBe(
      '2 of 4 elements differ by more than 0.125 + 0 * |expected|; ' +
        'the worst is at [1, 1]: 4.5, expected 4, difference 5.000e-1 = 4.00 of the tolerance',
    );
  });

  it('compares shapes of tensors, and counts of anything', () => {
    expect(compareAllclose(float32([2, 1], [1, 2]), float32([1, 2], [1, 2])).message).toBe(
      'shape is [2, 1], expected [1, 2]',
    );
    expect(compareAllclose([1, 2], [1]).message).toBe('2 elements, expected 1');
    expect(tensor('bfloat16', [2], Uint16Array.of(0x3f80, 0xbf80))).toBeAllclose([1, -1]);
    expect(tensor('int64', [2], BigInt64Array.of(3n, -4n))).toBeAllclose([3, -4]);
  });

  it('takes NaN as equal to NaN and as far from every number', () => {
    expect([Number.NaN, Number.POSITIVE_INFINITY]).toBeAllclose([Number.NaN, Number.POSITIVE_INFINITY]);
    expect([Number.NaN]).not.toBeAllclose([0], { atol: 1e9 });
    expect([0]).not.toBeAllclose([Number.NaN], { atol: 1e9 });
    expect([Number.NEGATIVE_INFINITY]).not.toBeAllclose([Number.POSITIVE_INFINITY]);
  });
});
