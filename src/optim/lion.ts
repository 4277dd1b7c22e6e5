import { lionKernel } from './kernels.ts';
import { joinedArrays, joinedZeros } from './joined-arrays.ts';
import { elementsOf } from './optimizer.ts';
import type { Optimizer } from './optimizer.ts';

/** Options of Lion. */
export interface LionOptions {
  /** Weight of the momentum in the update, and the momentum's decay. @default [0.9, 0.99] */
  readonly betas?: readonly [number, number];
  /** The share of a weight that a step at learning rate 1 takes away. @default 0 */
  readonly weightDecay?: number;
}

/**
 * Lion (Chen et al., arXiv 2302.06675, algorithm 2): p *= 1 - lr wd; p -= lr sign(b1 m + (1 - b1) g);
 * m = b2 m + (1 - b2) g. Every element moves by lr, so use a third to a tenth of AdamW's learning rate.
 */
export function lion({ betas = [0.9, 0.99], weightDecay = 0 }: LionOptions = {}): Optimizer {
  const [beta1, beta2] = betas;
  return {
    name: 'lion',
    init(params) {
      const tensors = joinedZeros([...params].map(([name, { shape }]) => [`exp_avg.${name}`, shape] as const));
      return { tensors, scalars: { step: 0 } };
    },
    update(params, grads, { tensors, scalars }, lr, scale = 1) {
      scalars['step'] = (scalars['step'] ?? 0) + 1;
      const factors = { scale, rest1: 1 - beta1, rest2: 1 - beta2, decay: lr * weightDecay, rate: lr };
      const joined = joinedArrays(
        params,
        (name, p) => [p, elementsOf(grads, name, p.length), elementsOf(tensors, `exp_avg.${name}`, p.length)] as const,
      );
      for (const arrays of joined) lionKernel(...arrays, factors);
    },
  };
}
