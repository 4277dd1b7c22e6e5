import { checkClass, openCheckpoint } from '../io/checkpoint.ts';
import { assertFinite } from '../io/assert-finite.ts';
import type { Weights } from '../io/safetensors.ts';
import { checkNoUnknownTensors } from '../io/take-tensor.ts';
import { input } from '../graph/value.ts';
import { parseSanaTransformerConfig, type SanaTransformerConfig, timestepChannels } from './sana-transformer-config.ts';
import { sanaTransformer, type SanaInputs } from './sana-transformer.ts';
import { weightReader } from './weights.ts';

/** A transformer's config and where its weights lie. */
export interface SanaTransformer {
  readonly config: SanaTransformerConfig;
  readonly weights: Weights;
}

/** The transformer's inputs as graph inputs of any batch, size and text length. */
export function sanaInputs(config: SanaTransformerConfig): SanaInputs {
  const p = config.patch_size;
  const [height, width] = p === 1 ? ['H', 'W'] : [`${p}*H`, `${p}*W`];
  const d = config.num_attention_heads * config.attention_head_dim;
  return {
    hiddenStates: input('hidden_states', ['B', config.in_channels, height, width]),
    encoderHiddenStates: input('encoder_hidden_states', ['B', 'T', config.caption_channels]),
    encoderAttentionBias: input('encoder_attention_bias', ['B', 1, 1, 'T']),
    timestepEmbedding: input('timestep_embedding', ['B', timestepChannels]),
    ...(config.guidance_embeds && { guidanceEmbedding: input('guidance_embedding', ['B', timestepChannels]) }),
    ...(config.interpolation_scale !== null && { positions: input('positions', [1, 'H*W', d]) }),
  };
}

/**
 * Opens a transformer's folder in diffusers' layout: config.json and its weights, single or sharded.
 * All weights are read once, which takes a second or two for 1.6 billion of them and brings them into memory.
 * @throws UserError when a file is missing or damaged, or a tensor is missing, unknown, of another shape or not finite
 */
export async function loadSanaTransformer(
  folder: string,
  { variant }: { readonly variant?: string } = {},
): Promise<SanaTransformer> {
  const checkpoint = await openCheckpoint(folder, {
    baseName: 'diffusion_pytorch_model',
    ...(variant !== undefined && { variant }),
  });
  checkClass(checkpoint, '_class_name', 'SanaTransformer2DModel');
  const model = {
    config: parseSanaTransformerConfig(checkpoint.config, checkpoint.configPath),
    weights: checkpoint.tensors,
  };
  // Building the graph once asks for every tensor with its shape: all mistakes show here, not hours later.
  const take = weightReader(model.weights);
  sanaTransformer(model.config, take, sanaInputs(model.config));
  checkNoUnknownTensors(model.weights, take.taken);
  // A NaN would not always show: a ReLU makes zero of it.
  await assertFinite(model.weights);
  return model;
}
