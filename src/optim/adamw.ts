import { elementsOf, zerosOf } from './optimizer.ts';
import type { Optimizer } from './optimizer.ts';

/** Options of AdamW; the defaults are those of torch.optim.AdamW. */
export interface AdamWOptions {
  /** Decay of the means of the gradient and of its square. @default [0.9, 0.999] */
  readonly betas?: readonly [number, number];
  /** @default 1e-8 */
  readonly eps?: number;
  /** The share of a weight that a step at learning rate 1 takes away. @default 0.01 */
  readonly weightDecay?: number;
}

/**
 * AdamW as torch.optim.AdamW computes it (Loshchilov and Hutter, arXiv 1711.05101):
 * p *= 1 - lr wd; m += (1 - b1)(g - m); v = b2 v + (1 - b2) g^2;
 * p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 */
export function adamw({ betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 }: AdamWOptions = {}): Optimizer {
  const [beta1, beta2] = betas;
  return {
    name: 'adamw',
    init(params) {
      const tensors = [...params].flatMap(([name, { shape }]) => [
        [`exp_avg.${name}`, zerosOf(shape)] as const,
        [`exp_avg_sq.${name}`, zerosOf(shape)] as const,
      ]);
      return { tensors: new Map(tensors), scalars: { step: 0 } };
    },
    update(params, grads, { tensors, scalars }, lr, scale = 1) {
      const step = (scalars['step'] ?? 0) + 1;
      scalars['step'] = step;
      const stepSize = lr / (1 - beta1 ** step);
      const invRoot = 1 / Math.sqrt(1 - beta2 ** step);
      for (const [name, { data }] of params) {
        adamwElements(
          data,
          elementsOf(grads, name, data.length),
          elementsOf(tensors, `exp_avg.${name}`, data.length),
          elementsOf(tensors, `exp_avg_sq.${name}`, data.length),
          { scale, keep: 1 - lr * weightDecay, beta1, beta2, stepSize, invRoot, eps },
        );
      }
    },
  };
}

interface Coefficients {
  readonly scale: number;
  readonly keep: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly stepSize: number;
  readonly invRoot: number;
  readonly eps: number;
}

// Arithmetic is in doubles, storage in float32: at least as exact as PyTorch's float32. The root and the division take
// two thirds of the time; in float32 (by Math.fround) both are slower, since V8 goes through doubles all the same.
function adamwElements(p: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, c: Coefficients): void {
  const { scale, keep, beta1, beta2, stepSize, invRoot, eps } = c;
  for (let i = 0; i < p.length; i++) {
    const grad = Math.fround((g[i] ?? 0) * scale); // rounded as a clipped gradient is
    const mean = (m[i] ?? 0) * beta1 + (1 - beta1) * grad;
    const square = (v[i] ?? 0) * beta2 + (1 - beta2) * grad * grad;
    m[i] = mean;
    v[i] = square;
    p[i] = (p[i] ?? 0) * keep - (stepSize * mean) / (Math.sqrt(square) * invRoot + eps);
  }
}
