import { z } from 'zod';

import { UserError } from '../errors.ts';

const count = z.int().positive();

const schema = z.object({
  in_channels: count.default(32),
  out_channels: count.nullable().default(32),
  num_attention_heads: count.default(70),
  attention_head_dim: count.default(32),
  num_layers: count.default(20),
  num_cross_attention_heads: count.default(20),
  cross_attention_head_dim: count.default(112),
  cross_attention_dim: count.default(2240),
  caption_channels: count.default(2304),
  mlp_ratio: z.number().positive().default(2.5),
  attention_bias: z.boolean().default(false),
  sample_size: count.default(32),
  patch_size: count.default(1),
  norm_elementwise_affine: z.boolean().default(false),
  norm_eps: z.number().positive().default(1e-6),
  interpolation_scale: z.number().positive().nullable().default(null),
  guidance_embeds: z.boolean().default(false),
  guidance_embeds_scale: z.number().default(0.1),
  qk_norm: z.literal('rms_norm_across_heads').nullable().default(null),
  timestep_scale: z.number().positive().default(1),
});

/** SanaTransformer2DModel's configuration, with diffusers' names and defaults. */
export type SanaTransformerConfig = Readonly<z.output<typeof schema>>;

/**
 * Reads a transformer's config.json.
 * @throws UserError naming the file and every field that is wrong
 */
export function parseSanaTransformerConfig(json: unknown, path: string): SanaTransformerConfig {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new UserError(
      `${path} is no config of a SanaTransformer2DModel that can be run here: ${problems.join('; ')}.`,
    );
  }
  const config = parsed.data;
  const inner = innerWidth(config);
  const cross = config.num_cross_attention_heads * config.cross_attention_head_dim;
  if (config.cross_attention_dim !== inner || cross !== inner) {
    throw new UserError(
      `${path}: cross_attention_dim (${config.cross_attention_dim}) and num_cross_attention_heads x cross_attention_head_dim (${cross}) must both be num_attention_heads x attention_head_dim (${inner}).`,
    );
  }
  return config;
}

/** The width D of the transformer: heads times head_dim. */
export function innerWidth({ num_attention_heads, attention_head_dim }: SanaTransformerConfig): number {
  return num_attention_heads * attention_head_dim;
}

/** The hidden width of the feed-forward layer; the inverted convolution emits twice that. */
export function hiddenWidth(config: SanaTransformerConfig): number {
  return Math.trunc(config.mlp_ratio * innerWidth(config));
}

/** A linear map or 1x1 convolution of the model. */
export interface SanaModule {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** The side of a convolution's kernel; a linear layer has none. */
  readonly kernel?: number;
  readonly bias: boolean;
}

/** All modules of the model that an adapter can change, by their names in the checkpoint, first layer to last. */
export function sanaModules(config: SanaTransformerConfig): ReadonlyMap<string, SanaModule> {
  const d = innerWidth(config);
  const h = hiddenWidth(config);
  const linear = (inFeatures: number, outFeatures: number, bias = true): SanaModule => ({
    inFeatures,
    outFeatures,
    bias,
  });
  const conv = (inFeatures: number, outFeatures: number, bias: boolean, kernel = 1): SanaModule => ({
    inFeatures,
    outFeatures,
    bias,
    kernel,
  });

  const modules = new Map<string, SanaModule>();
  modules.set('patch_embed.proj', conv(config.in_channels, d, true, config.patch_size));
  const time = config.guidance_embeds ? 'time_embed' : 'time_embed.emb';
  for (const embedder of config.guidance_embeds ? ['timestep_embedder', 'guidance_embedder'] : ['timestep_embedder']) {
    modules.set(`${time}.${embedder}.linear_1`, linear(timestepChannels, d));
    modules.set(`${time}.${embedder}.linear_2`, linear(d, d));
  }
  modules.set('time_embed.linear', linear(d, 6 * d));
  modules.set('caption_projection.linear_1', linear(config.caption_channels, d));
  modules.set('caption_projection.linear_2', linear(d, d));
  for (let layer = 0; layer < config.num_layers; layer++) {
    const block = `transformer_blocks.${layer}`;
    for (const attention of ['attn1', 'attn2']) {
      const bias = attention === 'attn2' || config.attention_bias;
      for (const name of ['to_q', 'to_k', 'to_v']) modules.set(`${block}.${attention}.${name}`, linear(d, d, bias));
      modules.set(`${block}.${attention}.to_out.0`, linear(d, d));
    }
    modules.set(`${block}.ff.conv_inverted`, conv(d, 2 * h, true));
    modules.set(`${block}.ff.conv_point`, conv(h, d, false));
  }
  modules.set('proj_out', linear(d, config.patch_size ** 2 * (config.out_channels ?? config.in_channels)));
  return modules;
}

/** Channels of the sinusoidal embedding of a timestep or a guidance scale. */
export const timestepChannels = 256;
