import { scaleGradients } from './gradients.ts';
import { elementsOf, zerosOf } from './optimizer.ts';
import type { Optimizer, OptimizerState, Params } from './optimizer.ts';

/** Options of Prodigy; names and defaults are prodigyopt's. */
export interface ProdigyOptions {
  /** Decay of the means of the gradient and of its square. @default [0.9, 0.999] */
  readonly betas?: readonly [number, number];
  /** Decay of the sums behind the estimate of d. @default the square root of betas[1] */
  readonly beta3?: number;
  /** @default 1e-8 */
  readonly eps?: number;
  /** @default 0 */
  readonly weightDecay?: number;
  /** Weight decay as in AdamW; false adds it to the gradient. @default true */
  readonly decouple?: boolean;
  /** Adam's correction of the first steps. @default false */
  readonly useBiasCorrection?: boolean;
  /** Leaves the learning rate out of the denominator of d, so that warm-up does not inflate d. @default false */
  readonly safeguardWarmup?: boolean;
  /** The first estimate of d. @default 1e-6 */
  readonly d0?: number;
  /** Multiplies the estimate; below 1 it trains more cautiously. @default 1 */
  readonly dCoef?: number;
  /** The most that d may grow by in a step, as a factor. @default Infinity */
  readonly growthRate?: number;
}

/**
 * Prodigy as prodigyopt 1.1 computes it with slice_p 1 (Mishchenko and Defazio, arXiv 2306.06101): Adam whose step
 * size d is estimated from how far the weights have come. Use a learning rate of 1 and a schedule that ends at 0.
 * `state.scalars.d` times the learning rate is the step size in AdamW's sense.
 */
export function prodigy({
  betas = [0.9, 0.999],
  beta3 = Math.sqrt(betas[1]),
  eps = 1e-8,
  weightDecay = 0,
  decouple = true,
  useBiasCorrection = false,
  safeguardWarmup = false,
  d0 = 1e-6,
  dCoef = 1,
  growthRate = Number.POSITIVE_INFINITY,
}: ProdigyOptions = {}): Optimizer {
  const [beta1, beta2] = betas;
  const coupledDecay = decouple ? 0 : weightDecay;
  const decoupledDecay = decouple ? weightDecay : 0;

  /** Updates both means and the sum s; returns the numerator and denominator of d that these gradients add. */
  function accumulate(params: Params, grads: Params, { tensors }: OptimizerState, d: number, dlr: number) {
    let numerator = 0;
    let denominator = 0;
    const sumWeight = (d / d0) * (safeguardWarmup ? d : dlr);
    for (const [name, { data: p }] of params) {
      const g = elementsOf(grads, name, p.length);
      const start = elementsOf(tensors, `p0.${name}`, p.length);
      const m = elementsOf(tensors, `exp_avg.${name}`, p.length);
      const v = elementsOf(tensors, `exp_avg_sq.${name}`, p.length);
      const s = elementsOf(tensors, `s.${name}`, p.length);
      let dot = 0;
      let size = 0;
      for (let i = 0; i < p.length; i++) {
        const weight = p[i] ?? 0;
        const grad = (g[i] ?? 0) + coupledDecay * weight;
        const sum = (s[i] ?? 0) * beta3 + sumWeight * grad;
        dot += grad * ((start[i] ?? 0) - weight);
        size += Math.abs(sum);
        s[i] = sum;
        m[i] = (m[i] ?? 0) * beta1 + d * (1 - beta1) * grad;
        v[i] = (v[i] ?? 0) * beta2 + d * d * (1 - beta2) * grad * grad;
      }
      numerator += (d / d0) * dlr * dot;
      denominator += size;
    }
    return { numerator, denominator };
  }

  return {
    name: 'prodigy',
    init(params) {
      const tensors = [...params].flatMap(([name, { shape, data }]) => [
        [`exp_avg.${name}`, zerosOf(shape)] as const,
        [`exp_avg_sq.${name}`, zerosOf(shape)] as const,
        [`s.${name}`, zerosOf(shape)] as const,
        [`p0.${name}`, { ...zerosOf(shape), data: data.slice() }] as const,
      ]);
      return { tensors: new Map(tensors), scalars: { step: 0, d: d0, d_max: d0, d_numerator: 0 } };
    },
    update(params, grads, state, lr, scale = 1) {
      scaleGradients(grads, scale);
      // prodigyopt leaves everything as it is, also the step count, where the learning rate or every gradient is 0.
      if (!(lr > 0)) return;
      const { scalars } = state;
      const step = (scalars['step'] ?? 0) + 1;
      const oldD = scalars['d'] ?? d0;
      const correction = useBiasCorrection ? Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step) : 1;
      const dlr = oldD * lr * correction;
      const { numerator, denominator } = accumulate(params, grads, state, oldD, dlr);
      if (denominator === 0) return;

      const total = (scalars['d_numerator'] ?? 0) * beta3 + numerator;
      const estimate = (dCoef * total) / denominator;
      const raised = oldD === d0 ? Math.max(oldD, estimate) : oldD;
      const dMax = Math.max(scalars['d_max'] ?? d0, estimate);
      const d = Math.min(dMax, raised * growthRate);
      Object.assign(scalars, { step, d, d_max: dMax, d_numerator: total });

      const keep = 1 - decoupledDecay * dlr;
      for (const [name, { data: p }] of params) {
        const m = elementsOf(state.tensors, `exp_avg.${name}`, p.length);
        const v = elementsOf(state.tensors, `exp_avg_sq.${name}`, p.length);
        for (let i = 0; i < p.length; i++) {
          p[i] = (p[i] ?? 0) * keep - (dlr * (m[i] ?? 0)) / (Math.sqrt(v[i] ?? 0) + d * eps);
        }
      }
    },
  };
}
