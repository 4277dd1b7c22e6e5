import { UserError } from '../errors.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import type { RunningDcAe } from '../models/dc-ae.ts';

/**
 * Latents of the transformer [B, C, H, W] -> pictures [B, 3, f H, f W] in 0 to 1: divided by the scaling factor,
 * decoded, from -1..1 to 0..1, clamped (SanaPipeline.__call__ with output_type 'pt').
 * @throws UserError when the autoencoder gives numbers that are not finite
 */
export async function decodePicture(
  vae: RunningDcAe,
  latents: Tensor,
): Promise<Tensor & { readonly data: Float32Array }> {
  const scaled = toFloat32(latents).map((x) => x / vae.scalingFactor);
  const decoded = await vae.decode(float32(latents.shape, scaled));
  const picture = toFloat32(decoded).map((x) => Math.min(1, Math.max(0, x / 2 + 0.5)));
  if (picture.some(Number.isNaN)) {
    throw new UserError(
      "The autoencoder's picture holds NaN; its weights are damaged: download the model's vae again.",
    );
  }
  return float32(decoded.shape, picture);
}
