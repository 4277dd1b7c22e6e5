import type { Random } from '../random.ts';
import { numTrainTimesteps, shiftSigma, trainSigmas } from './sigmas.ts';

/** The weighting schemes of diffusers' SD3 trainers: each names a density of timesteps and a weight of the loss. */
export const weightingSchemes = ['none', 'sigma_sqrt', 'logit_normal', 'mode', 'cosmap'] as const;

/** One of `weightingSchemes`. */
export type WeightingScheme = (typeof weightingSchemes)[number];

/** How the noise levels of training are drawn: as Sana's were, or by one of diffusers' schemes. */
export const timestepSamplings = ['sana', ...weightingSchemes] as const;

/** One of `timestepSamplings`. */
export type TimestepSampling = (typeof timestepSamplings)[number];

/** Parameters of the densities; names as in diffusers' trainers. */
export interface DensityOptions {
  /** Mean of the normal in `logit_normal`. @default 0 */
  readonly logitMean?: number;
  /** Its standard deviation. @default 1 */
  readonly logitStd?: number;
  /** How far `mode` departs from uniform; 0 is uniform. @default 1.29 */
  readonly modeScale?: number;
}

/**
 * A draw u in [0, 1] of compute_density_for_timestep_sampling in diffusers/training_utils.py (SD3, arXiv 2403.03206,
 * section 3.1). u is a position in the training table, where 0 is pure noise; `none`, `sigma_sqrt` and `cosmap` are
 * uniform.
 */
export function sampleDensity(
  scheme: WeightingScheme,
  random: Random,
  { logitMean = 0, logitStd = 1, modeScale = 1.29 }: DensityOptions = {},
): number {
  if (scheme === 'logit_normal') return sigmoid(logitMean + logitStd * random.normal());
  const u = random.uniform();
  if (scheme !== 'mode') return u;
  return 1 - u - modeScale * (Math.cos((Math.PI * u) / 2) ** 2 - 1 + u);
}

/** A noise level of training with the timestep that the model is told. */
export interface NoiseLevel {
  /** In [0, 1]: the share of noise. */
  readonly sigma: number;
  /** 1000 sigma. */
  readonly timestep: number;
}

/** Options of `createTimestepSampler`. */
export interface TimestepSamplerOptions extends DensityOptions {
  readonly sampling: TimestepSampling;
  /** Sana's flow_shift k; diffusers' LoRA script trains with 1 whatever the checkpoint's scheduler says. */
  readonly flowShift: number;
}

/**
 * Draws noise levels for training. `sana` is NVlabs/Sana's own recipe: u = sigmoid(N(0, 1)), s = floor(1000 u) / 1000,
 * sigma = k s / (1 + (k - 1) s). The others are diffusers' trainer: row floor(1000 u) of FlowMatchEuler's table.
 * All numbers are float32's, as the model gets them.
 */
export function createTimestepSampler(options: TimestepSamplerOptions): (random: Random) => NoiseLevel {
  const { sampling, flowShift } = options;
  if (sampling === 'sana') {
    return (random) => {
      const s = Math.floor(numTrainTimesteps * sigmoid(random.normal())) / numTrainTimesteps;
      const sigma = Math.fround(shiftSigma(s, flowShift));
      return { sigma, timestep: Math.fround(numTrainTimesteps * sigma) };
    };
  }
  const { sigmas, timesteps } = trainSigmas(flowShift);
  return (random) => {
    // u can be 1, and beyond for a large modeScale: diffusers would then read outside its table.
    const index = Math.floor(sampleDensity(sampling, random, options) * numTrainTimesteps);
    const row = Math.min(Math.max(index, 0), numTrainTimesteps - 1);
    return { sigma: sigmas[row] ?? 1, timestep: timesteps[row] ?? numTrainTimesteps };
  };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
