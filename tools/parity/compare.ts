import { toFloat32 } from '../../src/graph/tensor.ts';
import type { Tensor } from '../../src/graph/tensor.ts';

/** How far a case is from what is expected. */
export interface Comparison {
  /** The largest error in units of what is allowed; NaN where a number is missing. It passes up to 1. */
  readonly error: number;
  /** What went wrong, or the tensor with the largest error. */
  readonly detail: string;
}

/** Elements as doubles: float64 and int64 must not be rounded before they are compared. */
function elements({ dtype, shape, data }: Tensor): Float64Array {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  if (dtype === 'float16' || dtype === 'bfloat16') return Float64Array.from(toFloat32({ dtype, shape, data }));
  return Float64Array.from(data);
}

/**
 * Compares every expected tensor: shapes agree and max|got - expected| <= tol * max(1e-6, max|expected|);
 * with 'absolute', max|got - expected| <= tol.
 */
export function compareTensors(
  got: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  tol: number,
  comparison: 'relative' | 'absolute' = 'relative',
): Comparison {
  let worst: Comparison = { error: -1, detail: 'nothing is expected' };
  for (const [name, want] of expected) {
    const result = compareTensor(got.get(name), want, tol, comparison);
    const detail = result.detail === '' ? name : `${name}: ${result.detail}`;
    if (Number.isNaN(result.error)) return { ...result, detail };
    if (result.error > worst.error) worst = { ...result, detail };
  }
  return worst.error < 0 ? { ...worst, error: Number.NaN } : worst;
}

function compareTensor(
  got: Tensor | undefined,
  expected: Tensor,
  tol: number,
  comparison: 'relative' | 'absolute',
): Comparison {
  if (!got) return { error: Number.NaN, detail: 'was not computed' };
  if (got.shape.join() !== expected.shape.join()) {
    const detail = `shape [${got.shape.join(', ')}], expected [${expected.shape.join(', ')}]`;
    return { error: Number.NaN, detail };
  }
  const [a, b] = [elements(got), elements(expected)];
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] ?? Number.NaN, b[i] ?? Number.NaN];
    if (Number.isNaN(x - y)) return { error: Number.NaN, detail: `element ${i} is ${x}, expected ${y}` };
    largest = Math.max(largest, Math.abs(y));
    difference = Math.max(difference, Math.abs(x - y));
  }
  const allowed = tol * (comparison === 'absolute' ? 1 : Math.max(1e-6, largest));
  return { error: difference / allowed, detail: '' };
}
