/** Sana's sigmas lie on a grid of a thousandth, and a timestep is 1000 sigma. */
export const numTrainTimesteps = 1000;

/**
 * k s / (1 + (k - 1) s): moves noise levels in [0, 1] towards noise for k above 1 (SD3, arXiv 2403.03206, eq. 23).
 * A larger picture needs a larger `shift` k for the same loss of detail.
 */
export function shiftSigma(sigma: number, shift: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma);
}

/** Noise levels with the timesteps that the model is told for them, both [1000] and falling. */
export interface SigmaTable {
  /** In (0, 1]. */
  readonly sigmas: Float32Array;
  /** 1000 sigma. */
  readonly timesteps: Float32Array;
}

/**
 * The training table of diffusers' FlowMatchEulerDiscreteScheduler(shift=shift): sigmas shifted from 1000/1000,
 * 999/1000 ... 1/1000, in float32 as there.
 */
export function trainSigmas(shift: number): SigmaTable {
  const sigmas = Float32Array.from({ length: numTrainTimesteps }, (_, index) => shiftedFloat32(index, shift));
  return { sigmas, timesteps: sigmas.map((sigma) => sigma * numTrainTimesteps) };
}

// Every operation is rounded to float32, as PyTorch rounds it.
function shiftedFloat32(index: number, shift: number): number {
  const sigma = Math.fround((numTrainTimesteps - index) / numTrainTimesteps);
  const numerator = Math.fround(Math.fround(shift) * sigma);
  return numerator / Math.fround(1 + Math.fround(Math.fround(shift - 1) * sigma));
}
