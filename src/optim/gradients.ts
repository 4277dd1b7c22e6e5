import { joinedArrays, joinedZeros } from './joined-arrays.ts';
import { sumOfSquares } from './kernels.ts';
import { elementsOf } from './optimizer.ts';
import type { Params } from './optimizer.ts';

/** Gradients' global norm, and what they are to be multiplied by so that it is no larger than it may be. */
export interface Clipping {
  /** The root of the sum of squares of all elements of all gradients. */
  readonly norm: number;
  /** A float32; 1 where the norm is small enough. */
  readonly scale: number;
}

/**
 * Clipping by the global norm as torch.nn.utils.clip_grad_norm_ does it: by min(1, maxNorm / (norm + 1e-6)). Nothing is
 * multiplied yet; an optimizer's `update` takes the scale. When the norm is NaN or infinite the gradients are of no use
 * any more (as in PyTorch): check it before the update.
 */
export function clipping(grads: Params, maxNorm: number): Clipping {
  let sum = 0;
  for (const [data] of joinedArrays(grads, (_, data) => [data] as const)) sum += sumOfSquares(data);
  const norm = Math.sqrt(sum);
  const scale = Math.fround(maxNorm / (norm + 1e-6));
  return { norm, scale: scale >= 1 ? 1 : scale };
}

/** Multiplies gradients in place, in float32. */
export function scaleGradients(grads: Params, scale: number): void {
  if (scale === 1) return;
  const factor = Math.fround(scale);
  for (const { data } of grads.values()) for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) * factor;
}

/** Sums the gradients of micro-batches into one. */
export interface GradientAccumulator {
  /** The sum so far; of one addition of weight 1 what was added, and not a copy. */
  readonly grads: Params;
  /** Adds `weight * grads`; a weight of 1 / gradientAccumulationSteps makes the sum a mean. */
  add(grads: Params, weight: number): void;
  /** Starts a new sum. */
  reset(): void;
}

/** A gradient accumulator for these parameters, at zero. */
export function createGradientAccumulator(params: Params): GradientAccumulator {
  const total: Params = joinedZeros([...params].map(([name, { shape }]) => [name, shape] as const));
  // Without accumulation, a pass over all gradients and their memory that nothing needs.
  let only: Params | undefined;
  let isZero = true;
  function addTo(grads: Params, weight: number): void {
    for (const [name, { data: sum }] of total) {
      const g = elementsOf(grads, name, sum.length);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (g[i] ?? 0);
    }
    isZero = false;
  }
  return {
    get grads() {
      return only ?? total;
    },
    add(grads, weight) {
      if (isZero && !only && weight === 1) {
        for (const [name, { data }] of total) elementsOf(grads, name, data.length);
        only = grads;
        return;
      }
      if (only) addTo(only, 1);
      only = undefined;
      addTo(grads, weight);
    },
    reset() {
      only = undefined;
      if (!isZero) for (const { data } of total.values()) data.fill(0);
      isZero = true;
    },
  };
}
