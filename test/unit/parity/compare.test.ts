import { describe, expect, it } from 'vitest';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { compareTensors } from '../../../tools/parity/compare.ts';

const of = (values: Readonly<Record<string, Tensor>>): Map<string, Tensor> => new Map(Object.entries(values));
const ten = of({ x: float32([2], [10, 0]) });

describe('compareTensors', () => {
  it('gives the largest error in units of tol * max|expected|', () => {
    expect(compareTensors(of({ x: float32([2], [10, 0.5]) }), ten, 0.1)).toEqual({ error: 0.5, detail: 'x' });
    expect(compareTensors(of({ x: float32([2], [10, 2]) }), ten, 0.1).error).toBe(2);
  });

  it('takes tol itself for an absolute comparison', () => {
    expect(compareTensors(of({ x: float32([2], [10, 0.5]) }), ten, 0.1, 'absolute').error).toBe(5);
  });

  it('allows tol * 1e-6 where zero is expected', () => {
    const zero = of({ x: float32([1], [0]) });
    expect(compareTensors(zero, zero, 1e-3).error).toBe(0);
    expect(compareTensors(of({ x: float32([1], [1e-8]) }), zero, 1e-3).error).toBeGreaterThan(1);
  });

  it('does not round doubles', () => {
    const [a, b] = [1, 1 + 1e-12].map((value) => of({ x: tensor('float64', [1], Float64Array.of(value)) }));
    expect(a && b && compareTensors(a, b, 1e-12).error).toBeCloseTo(1, 3);
  });

  it.each([
    ['a missing tensor', of({}), 'x: was not computed'],
    ['another shape', of({ x: float32([1, 2], [10, 0]) }), 'x: shape [1, 2], expected [2]'],
    ['NaN', of({ x: float32([2], [10, Number.NaN]) }), 'x: element 1 is NaN, expected 0'],
  ])('never passes %s', (_, got, detail) => {
    const result = compareTensors(got, ten, 1);
    expect(result.error <= 1).toBe(false);
    expect(result.detail).toBe(detail);
  });

  it('never passes a case that expects nothing', () => {
    expect(compareTensors(ten, of({}), 1).error <= 1).toBe(false);
  });
});
