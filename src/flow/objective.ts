import { elementCount } from '../graph/tensor.ts';
import type { TimestepSampling } from './timestep-sampling.ts';

// B batch, the rest of a shape is per example.

/**
 * The noisy latents x_t = (1 - sigma) x0 + sigma e of rectified flow, one sigma an example.
 * @param latents x0, already multiplied by the autoencoder's scaling factor
 * @param noise e, of the same shape
 * @param sigmas [B], in [0, 1]
 * @param shape [B, ...]
 */
export function addNoise(
  latents: Float32Array,
  noise: Float32Array,
  sigmas: ArrayLike<number>,
  shape: readonly number[],
): Float32Array {
  const [batch = 0, ...rest] = shape;
  const perExample = elementCount(rest);
  if (latents.length !== batch * perExample || noise.length !== latents.length || sigmas.length !== batch) {
    throw new RangeError(
      `addNoise: shape [${shape.join(', ')}] needs ${batch * perExample} latents, as much noise and ${batch} sigmas; ` +
        `got ${latents.length}, ${noise.length} and ${sigmas.length}`,
    );
  }
  const noisy = new Float32Array(latents.length);
  for (let b = 0; b < batch; b++) {
    const sigma = sigmas[b] ?? 0;
    for (let i = b * perExample; i < (b + 1) * perExample; i++) {
      noisy[i] = (1 - sigma) * (latents[i] ?? 0) + sigma * (noise[i] ?? 0);
    }
  }
  return noisy;
}

/** What the model is to predict: the velocity e - x0, whatever the noise level. */
export function flowTarget(latents: Float32Array, noise: Float32Array): Float32Array {
  if (noise.length !== latents.length) {
    throw new RangeError(`flowTarget: ${latents.length} latents and ${noise.length} of noise; they must be as many`);
  }
  return latents.map((value, i) => (noise[i] ?? 0) - value);
}

/**
 * The weight of an example's squared error: compute_loss_weighting_for_sd3 in diffusers/training_utils.py.
 * sigma^-2 for `sigma_sqrt`, 2 / (pi (1 - 2 sigma + 2 sigma^2)) for `cosmap`, else 1: Sana's loss is the plain mean.
 */
export function lossWeight(scheme: TimestepSampling, sigma: number): number {
  switch (scheme) {
    case 'sigma_sqrt':
      return sigma ** -2;
    case 'cosmap':
      return 2 / (Math.PI * (1 - 2 * sigma + 2 * sigma * sigma));
    default:
      return 1;
  }
}
