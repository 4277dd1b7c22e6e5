import { elementsOf, zerosOf } from './optimizer.ts';
import type { Params } from './optimizer.ts';

/**
 * Scales gradients in place so that their global norm is at most `maxNorm`, as torch.nn.utils.clip_grad_norm_ does:
 * by min(1, maxNorm / (norm + 1e-6)).
 * @returns the norm before clipping: the root of the sum of squares of all elements of all gradients. When it is NaN
 * or infinite the gradients are of no use any more (as in PyTorch): check it before the update.
 */
export function clipGlobalNorm(grads: Params, maxNorm: number): number {
  let sum = 0;
  for (const { data } of grads.values()) sum += sumOfSquares(data);
  const norm = Math.sqrt(sum);
  const scale = maxNorm / (norm + 1e-6);
  if (scale >= 1) return norm;
  for (const { data } of grads.values()) scaleInPlace(data, scale);
  return norm;
}

function scaleInPlace(values: Float32Array, scale: number): void {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) * scale;
}

// By index: iterating a typed array with for...of takes three times as long.
function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) ** 2;
  return sum;
}

/** Sums the gradients of micro-batches into one. */
export interface GradientAccumulator {
  /** The sum so far; the same arrays every time. */
  readonly grads: Params;
  /** Adds `weight * grads`; a weight of 1 / gradientAccumulationSteps makes the sum a mean. */
  add(grads: Params, weight: number): void;
  /** Starts a new sum. */
  reset(): void;
}

/** A gradient accumulator for these parameters, at zero. */
export function createGradientAccumulator(params: Params): GradientAccumulator {
  const total: Params = new Map([...params].map(([name, { shape }]) => [name, zerosOf(shape)] as const));
  return {
    grads: total,
    add(grads, weight) {
      for (const [name, { data: sum }] of total) {
        const g = elementsOf(grads, name, sum.length);
        for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (g[i] ?? 0);
      }
    },
    reset() {
      for (const { data } of total.values()) data.fill(0);
    },
  };
}
