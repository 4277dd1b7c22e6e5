import { linearCombination } from './solver.ts';

/** Noise levels (lo, hi) between which guidance acts, the ends excluded. */
export type GuidanceInterval = readonly [lo: number, hi: number];

/**
 * Whether guidance acts at a noise level: lo < sigma < hi, strictly, as in NVlabs/Sana; everywhere without an interval.
 * Where it does not, the conditional prediction is used alone and the unconditional one need not be computed
 * (Kynkaanniemi et al., arXiv 2404.07724).
 * @param sigma the noise level of the step, which is its timestep / 1000
 */
export function guidanceActs(sigma: number, interval?: GuidanceInterval): boolean {
  return interval === undefined || (interval[0] < sigma && sigma < interval[1]);
}

/** u + w (c - u): classifier-free guidance (arXiv 2207.12598); w = 1 is the conditional prediction. */
export function classifierFreeGuidance(cond: Float32Array, uncond: Float32Array, scale: number): Float32Array {
  return linearCombination([scale, 1 - scale], [cond, uncond]);
}
