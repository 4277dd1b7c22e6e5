import { adamwKernel } from './kernels.ts';
import { joinedArrays, joinedZeros } from './joined-arrays.ts';
import { elementsOf } from './optimizer.ts';
import type { Float32Tensor, Optimizer } from './optimizer.ts';

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
 * AdamW as torch.optim.AdamW computes it, in float32 (Loshchilov and Hutter, arXiv 1711.05101):
 * m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); p -= lr wd p + lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 */
export function adamw({ betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 }: AdamWOptions = {}): Optimizer {
  const [beta1, beta2] = betas;
  return {
    name: 'adamw',
    init(params) {
      const zeros = (prefix: string): Map<string, Float32Tensor> =>
        joinedZeros([...params].map(([name, { shape }]) => [`${prefix}.${name}`, shape] as const));
      return { tensors: new Map([...zeros('exp_avg'), ...zeros('exp_avg_sq')]), scalars: { step: 0 } };
    },
    update(params, grads, { tensors, scalars }, lr, scale = 1) {
      const step = (scalars['step'] ?? 0) + 1;
      scalars['step'] = step;
      const factors = {
        scale,
        rest1: 1 - beta1,
        rest2: 1 - beta2,
        decay: lr * weightDecay,
        step: lr / (1 - beta1 ** step),
        root: 1 / Math.sqrt(1 - beta2 ** step),
        eps,
      };
      const joined = joinedArrays(
        params,
        (name, p) =>
          [
            p,
            elementsOf(grads, name, p.length),
            elementsOf(tensors, `exp_avg.${name}`, p.length),
            elementsOf(tensors, `exp_avg_sq.${name}`, p.length),
          ] as const,
      );
      for (const arrays of joined) adamwKernel(...arrays, factors);
    },
  };
}
