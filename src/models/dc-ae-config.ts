import { z } from 'zod';

import { UserError } from '../errors.ts';

const count = z.int().positive();
const kernelSize = count.refine((size) => size % 2 === 1, { error: 'expected an odd kernel size' });
const blockType = z.enum(['ResBlock', 'EfficientViTBlock']);
const normType = z.enum(['rms_norm', 'batch_norm']);
// diffusers' get_activation takes any case.
const actFn = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['silu', 'swish', 'relu', 'gelu', 'mish']));

/** Says what a setting may be that is one value for all stages or a list; `z.union` by itself says nothing. */
const oneOf = (values: string): { error: string } => ({
  error: `expected ${values}, or a list with one for each stage`,
});
const blockTypes = z.union([blockType, z.array(blockType)], oneOf('ResBlock or EfficientViTBlock'));
// diffusers also builds layer_norm, but along the width of the picture, where it fails at nearly every size.
const normTypes = z.union([normType, z.array(normType)], oneOf('rms_norm or batch_norm'));
const actFns = z.union([actFn, z.array(actFn.nullable())], oneOf('silu, swish, relu, gelu or mish'));

// Fields and defaults of diffusers' AutoencoderDC.__init__ (models/autoencoders/autoencoder_dc.py, 0.42).
const schema = z.strictObject({
  in_channels: count.default(3),
  latent_channels: count.default(32),
  attention_head_dim: count.default(32),
  encoder_block_types: blockTypes.default('ResBlock'),
  decoder_block_types: blockTypes.default('ResBlock'),
  encoder_block_out_channels: z.array(count).default([128, 256, 512, 512, 1024, 1024]),
  decoder_block_out_channels: z.array(count).default([128, 256, 512, 512, 1024, 1024]),
  encoder_layers_per_block: z.array(z.int().nonnegative()).default([2, 2, 2, 3, 3, 3]),
  decoder_layers_per_block: z.array(z.int().nonnegative()).default([3, 3, 3, 3, 3, 3]),
  encoder_qkv_multiscales: z.array(z.array(kernelSize)).default([[], [], [], [5], [5], [5]]),
  decoder_qkv_multiscales: z.array(z.array(kernelSize)).default([[], [], [], [5], [5], [5]]),
  upsample_block_type: z.enum(['pixel_shuffle', 'interpolate']).default('pixel_shuffle'),
  // Published configs write 'conv', diffusers' own say 'Conv'.
  downsample_block_type: z.enum(['pixel_unshuffle', 'conv', 'Conv']).default('pixel_unshuffle'),
  decoder_norm_types: normTypes.default('rms_norm'),
  decoder_act_fns: actFns.default('silu'),
  encoder_out_shortcut: z.boolean().default(true),
  decoder_in_shortcut: z.boolean().default(true),
  decoder_conv_act_fn: actFn.default('relu'),
  scaling_factor: z.number().positive().default(1),
});

/** How a block normalises over channels. */
export type DcAeNorm = z.output<typeof normType>;

/** An activation function by diffusers' name; null leaves values as they are. */
export type DcAeActivation = z.output<typeof actFn> | null;

/** Blocks of one resolution. */
export interface DcAeStage {
  readonly block: z.output<typeof blockType>;
  readonly channels: number;
  readonly layers: number;
  /** Kernel sizes of the depthwise convolutions that give attention further scales. */
  readonly multiscales: readonly number[];
  readonly norm: DcAeNorm;
  readonly activation: DcAeActivation;
}

/** AutoencoderDC's configuration: diffusers' fields, with what it sets for each stage put together. */
export interface DcAeConfig {
  readonly inChannels: number;
  readonly latentChannels: number;
  readonly attentionHeadDim: number;
  /** From the picture to the latents. */
  readonly encoder: readonly DcAeStage[];
  /** In the same order, so that the decoder runs from the last to the first. */
  readonly decoder: readonly DcAeStage[];
  readonly downsample: 'pixel_unshuffle' | 'conv';
  readonly upsample: 'pixel_shuffle' | 'interpolate';
  readonly encoderOutShortcut: boolean;
  readonly decoderInShortcut: boolean;
  readonly decoderConvActivation: DcAeActivation;
  /** Latents are multiplied by it before the transformer sees them. */
  readonly scalingFactor: number;
  /** Pixels of a picture's side per element of the latents' side. */
  readonly spatialCompression: number;
}

type Fields = z.output<typeof schema>;
type Part = 'encoder' | 'decoder';

/**
 * Reads an autoencoder's config.json.
 * @param json the parsed file, its `_class_name` checked by `checkClass`
 * @throws UserError naming the file and every field that is wrong
 */
export function parseDcAeConfig(json: Readonly<Record<string, unknown>>, path: string): DcAeConfig {
  // diffusers' own notes begin with an underscore.
  const parsed = schema.safeParse(Object.fromEntries(Object.entries(json).filter(([name]) => !name.startsWith('_'))));
  const problems = parsed.success
    ? problemsOf(parsed.data)
    : parsed.error.issues.map((issue) =>
        issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message,
      );
  if (!parsed.success || problems.length > 0) {
    throw new UserError(`${path} is no config of an AutoencoderDC that can be run here: ${problems.join('; ')}.`);
  }
  const config = parsed.data;
  return {
    inChannels: config.in_channels,
    latentChannels: config.latent_channels,
    attentionHeadDim: config.attention_head_dim,
    encoder: stagesOf(config, 'encoder'),
    decoder: stagesOf(config, 'decoder'),
    downsample: config.downsample_block_type === 'pixel_unshuffle' ? 'pixel_unshuffle' : 'conv',
    upsample: config.upsample_block_type,
    encoderOutShortcut: config.encoder_out_shortcut,
    decoderInShortcut: config.decoder_in_shortcut,
    decoderConvActivation: config.decoder_conv_act_fn,
    scalingFactor: config.scaling_factor,
    spatialCompression: 2 ** (config.encoder_block_out_channels.length - 1),
  };
}

function stagesOf(config: Fields, part: Part): readonly DcAeStage[] {
  return config[`${part}_block_out_channels`].map((channels, i) => ({
    block: at(config[`${part}_block_types`], i) ?? 'ResBlock',
    channels,
    layers: config[`${part}_layers_per_block`][i] ?? 0,
    multiscales: config[`${part}_qkv_multiscales`][i] ?? [],
    norm: (part === 'encoder' ? undefined : at(config.decoder_norm_types, i)) ?? 'rms_norm',
    activation: part === 'encoder' ? 'silu' : (at(config.decoder_act_fns, i) ?? null),
  }));
}

/** A stage's own setting, or the one that all have. */
function at<T extends string | null>(setting: T | readonly T[], stage: number): T | undefined {
  return typeof setting === 'string' || setting === null ? setting : setting[stage];
}

/** What the fields' types cannot say: lists of one length, and channels that divide where a shortcut needs it. */
function problemsOf(config: Fields): readonly string[] {
  const problems: string[] = [];
  const stages = config.encoder_block_out_channels.length;
  if (stages === 0) problems.push('encoder_block_out_channels: expected at least one stage');
  const perStage = ['block_types', 'block_out_channels', 'layers_per_block', 'qkv_multiscales'] as const;
  for (const part of ['encoder', 'decoder'] as const) {
    const lists: (keyof Fields)[] = perStage.map((name) => `${part}_${name}` as const);
    if (part === 'decoder') lists.push('decoder_norm_types', 'decoder_act_fns');
    for (const name of lists) {
      const value = config[name];
      if (Array.isArray(value) && value.length !== stages) {
        problems.push(
          `${name}: ${value.length} entries, expected ${stages}, one for each of encoder_block_out_channels`,
        );
      }
    }
    // A later stage without layers would not be halved, and the compression not what a pipeline takes it for.
    const layers = config[`${part}_layers_per_block`];
    if (layers.some((layer, i) => layer === 0 && (i > 0 || stages === 1))) {
      problems.push(`${part}_layers_per_block: 0 is possible for the first of several stages alone`);
    }
  }
  return problems.length > 0
    ? problems
    : [...shortcutProblems(config, 'encoder'), ...shortcutProblems(config, 'decoder')];
}

function shortcutProblems(config: Fields, part: Part): readonly string[] {
  const problems: string[] = [];
  const stages = stagesOf(config, part);
  const name = `${part}_block_out_channels`;
  for (const [i, { channels, block, layers }] of stages.entries()) {
    const next = stages[i + 1]?.channels;
    if (layers > 0 && next !== undefined && (4 * channels) % next !== 0) {
      problems.push(
        `${name}: 4 x ${channels} is no multiple of the next stage's ${next}, as the shortcut between them needs`,
      );
    }
    if (
      part === 'encoder' &&
      config.downsample_block_type === 'pixel_unshuffle' &&
      next !== undefined &&
      next % 4 !== 0
    ) {
      problems.push(`${name}: ${next} is no multiple of 4, as pixel_unshuffle needs`);
    }
    if (layers > 0 && block === 'EfficientViTBlock' && channels < config.attention_head_dim) {
      problems.push(
        `${name}: ${channels} channels are less than a head's attention_head_dim ${config.attention_head_dim}`,
      );
    }
  }
  const last = stages.at(-1)?.channels ?? 0;
  const hasShortcut = part === 'encoder' ? config.encoder_out_shortcut : config.decoder_in_shortcut;
  if (hasShortcut && last % config.latent_channels !== 0) {
    problems.push(
      `${name}: ${last} is no multiple of latent_channels ${config.latent_channels}, as the ${part}'s shortcut needs`,
    );
  }
  return problems;
}
