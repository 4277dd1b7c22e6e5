import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { attentionBias, sincosPositions, sinusoidalEmbedding } from './sana-conditioning.ts';
import { innerWidth, type SanaTransformerConfig } from './sana-transformer-config.ts';

// B batch, C latent channels, H W latent size, T text tokens, E text width.

/** What the transformer is told, as a caller has it. */
export interface SanaConditions {
  /** [B, T, E] */
  readonly promptEmbeds: Tensor;
  /** [B, T], 1 for a token and 0 for padding; none where there is no padding. */
  readonly promptAttentionMask?: Tensor;
  /** [B]: 1000 sigma, or sigma for the models that diffusers scales by timestep_scale (see `modelTimesteps`). */
  readonly timesteps: readonly number[];
  /** The guidance scale already multiplied by guidance_embeds_scale [B], for models with guidance_embeds. */
  readonly guidance?: readonly number[];
}

/**
 * The text without the rows that are padding in every sample, which the mask would hide: the same result, cheaper.
 * Nothing is cut where a sample's rows are all padding: attention then hides none from the others.
 */
export function trimText(
  promptEmbeds: Tensor,
  mask?: Tensor,
): { readonly promptEmbeds: Tensor; readonly mask: Tensor } {
  const [b = 1, t = 1, width = 1] = promptEmbeds.shape;
  const embeds = toFloat32(promptEmbeds);
  const keep = mask ? toFloat32(mask) : new Float32Array(b * t).fill(1);
  // The last row that each sample keeps; t where it keeps none.
  const lengths = Array.from({ length: b }, (_, i) => {
    const last = keep.subarray(i * t, (i + 1) * t).findLastIndex((value) => value !== 0);
    return last < 0 ? t : last + 1;
  });
  const length = Math.max(1, ...lengths);
  if (length === t) return { promptEmbeds: float32([b, t, width], embeds), mask: float32([b, t], keep) };
  const trimmed = new Float32Array(b * length * width);
  const trimmedMask = new Float32Array(b * length);
  for (let i = 0; i < b; i++) {
    trimmed.set(embeds.subarray(i * t * width, (i * t + length) * width), i * length * width);
    trimmedMask.set(keep.subarray(i * t, i * t + length), i * length);
  }
  return { promptEmbeds: float32([b, length, width], trimmed), mask: float32([b, length], trimmedMask) };
}

/**
 * The feeds of `sanaInputs` for a batch of latents [B, C, H, W].
 * @throws RangeError when batch sizes differ, or guidance is missing where the model needs it
 */
export function conditionFeeds(
  config: SanaTransformerConfig,
  latentShape: readonly number[],
  conditions: SanaConditions,
): Record<string, Tensor> {
  const [b = 1, , height = 1, width = 1] = latentShape;
  const { promptEmbeds, mask } = trimText(conditions.promptEmbeds, conditions.promptAttentionMask);
  if (promptEmbeds.shape[0] !== b || conditions.timesteps.length !== b) {
    throw new RangeError(
      `transformer: ${b} latents, ${promptEmbeds.shape[0]} texts and ${conditions.timesteps.length} timesteps; as many of each expected`,
    );
  }
  const feeds: Record<string, Tensor> = {
    encoder_hidden_states: promptEmbeds,
    encoder_attention_bias: attentionBias(mask),
    timestep_embedding: sinusoidalEmbedding(conditions.timesteps),
  };
  if (config.guidance_embeds) {
    if (conditions.guidance?.length !== b)
      throw new RangeError(
        `transformer: this model has guidance_embeds and needs a guidance scale for each of ${b} latents`,
      );
    feeds.guidance_embedding = sinusoidalEmbedding(conditions.guidance);
  }
  if (config.interpolation_scale !== null) {
    const p = config.patch_size;
    const options = { baseSize: Math.floor(config.sample_size / p), interpolationScale: config.interpolation_scale };
    feeds.positions = sincosPositions(innerWidth(config), height / p, width / p, options);
  }
  return feeds;
}

/** Joins samples of one shape [1, ...] into a batch [B, ...]. */
export function stackTensors(parts: readonly Tensor[]): Tensor {
  const [, ...rest] = parts[0]?.shape ?? [0];
  const size = elementCount(rest);
  const data = new Float32Array(parts.length * size);
  for (const [i, part] of parts.entries()) data.set(toFloat32(part), i * size);
  return float32([parts.length, ...rest], data);
}
