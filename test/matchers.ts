import { expect } from 'vitest';
import type { Tensor } from '../src/graph/tensor.ts';
import { toFloat32 } from '../src/graph/tensor.ts';

/** Numbers that `toBeAllclose` compares: a tensor of any dtype, a typed array, an array, or one number. */
export type Numeric = number | readonly number[] | Float32Array | Float64Array | Int32Array | BigInt64Array | Tensor;

/** Tolerances as numpy has them: an element passes when |actual - expected| <= atol + rtol * |expected|. */
export interface Tolerance {
  /** @default 1e-5 */
  readonly rtol?: number;
  /** @default 1e-8 */
  readonly atol?: number;
}

declare module 'vitest' {
  // `T` has to be named as Vitest names it for the two declarations to merge.
  interface Matchers<T> {
    /** Passes when every element is within `atol + rtol * |expected|`; NaN equals NaN; tensors' shapes must agree. */
    toBeAllclose(expected: Numeric, tolerance?: Tolerance): T;
  }
}

function isTensor(value: object): value is Tensor {
  return 'dtype' in value && 'shape' in value && 'data' in value;
}

function elements(value: Numeric): ArrayLike<number> {
  if (typeof value === 'number') return [value];
  if (value instanceof BigInt64Array) return Float64Array.from(value, Number);
  if (!isTensor(value)) return value;
  if (value.data instanceof BigInt64Array) return Float64Array.from(value.data, Number);
  return value.dtype === 'float64' ? Float64Array.from(value.data, Number) : toFloat32(value);
}

function shapeOf(value: Numeric): readonly number[] | undefined {
  return typeof value === 'object' && isTensor(value) ? value.shape : undefined;
}

/** The index of the flat `position` in an array of `shape`, as [2, 0, 7]. */
function multiIndex(position: number, shape: readonly number[]): string {
  const index: number[] = [];
  let rest = position;
  for (const size of shape.toReversed()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${index.join(', ')}]`;
}

/** What `toBeAllclose` finds: whether all elements are close, and a sentence about the worst one. */
export function compareAllclose(
  actual: Numeric,
  expected: Numeric,
  { rtol = 1e-5, atol = 1e-8 }: Tolerance = {},
): { readonly pass: boolean; readonly message: string } {
  const shape = shapeOf(actual);
  const expectedShape = shapeOf(expected);
  if (shape && expectedShape && shape.join() !== expectedShape.join()) {
    return { pass: false, message: `shape is [${shape.join(', ')}], expected [${expectedShape.join(', ')}]` };
  }
  const a = elements(actual);
  const e = elements(expected);
  if (a.length !== e.length) return { pass: false, message: `${a.length} elements, expected ${e.length}` };

  let worst = 0;
  let worstRatio = -1;
  let failures = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? Number.NaN;
    const y = e[i] ?? Number.NaN;
    // Object.is makes NaN equal NaN; === makes infinities equal, whose difference is NaN.
    if (Object.is(x, y) || x === y) {
      if (worstRatio < 0) [worst, worstRatio] = [i, 0];
      continue;
    }
    const allowed = atol + rtol * Math.abs(y);
    const difference = Math.abs(x - y);
    // A NaN on one side, or an infinity, is the worst there is.
    const ratio = Number.isFinite(difference) ? difference / allowed : Number.POSITIVE_INFINITY;
    if (ratio > 1) failures++;
    if (ratio > worstRatio) [worst, worstRatio] = [i, ratio];
  }
  if (a.length === 0) return { pass: true, message: 'no elements' };
  const at = multiIndex(worst, shape ?? expectedShape ?? [a.length]);
  const difference = Math.abs((a[worst] ?? Number.NaN) - (e[worst] ?? Number.NaN));
  const worstSentence =
    `the worst is at ${at}: ${a[worst]}, expected ${e[worst]}, ` +
    `difference ${difference.toExponential(3)} = ${worstRatio.toPrecision(3)} of the tolerance`;
  return {
    pass: failures === 0,
    message: `${failures} of ${a.length} elements differ by more than ${atol} + ${rtol} * |expected|; ${worstSentence}`,
  };
}

expect.extend({
  toBeAllclose(received: Numeric, expected: Numeric, tolerance?: Tolerance) {
    const { pass, message } = compareAllclose(received, expected, tolerance);
    return { pass, message: () => (pass ? `expected some element to differ, but ${message}` : message) };
  },
});
