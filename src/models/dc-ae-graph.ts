/** Encoder and decoder of AutoencoderDC. Shapes: B batch, C latent channels, H and W the latents' height and width. */
import { add } from '../graph/ops/elementwise.ts';
import type { Value } from '../graph/value.ts';
import { efficientVitBlock } from './dc-ae-attention.ts';
import { activate, conv, meanOfGroups, norm, repeatChannels, resBlock } from './dc-ae-blocks.ts';
import type { DcAeConfig, DcAeStage } from './dc-ae-config.ts';
import { downBlock, upBlock } from './dc-ae-resize.ts';
import type { WeightReader } from './weights.ts';

/** Pictures to latents, not scaled: [B, 3, f H, f W] in -1 to 1 -> [B, C, H, W], f the spatial compression. */
export function encoderGraph(read: WeightReader, config: DcAeConfig, images: Value): Value {
  const { encoder: stages, latentChannels, encoderOutShortcut } = config;
  const unshuffle = config.downsample === 'pixel_unshuffle';
  const first = firstStage(stages);
  let x =
    first === stages[0]
      ? conv(read, 'encoder.conv_in', images, { channels: first.channels, kernel: 3 })
      : downBlock(read, 'encoder.conv_in', images, { channels: first.channels, unshuffle, shortcut: false });
  for (const [i, stage] of stages.entries()) {
    const name = `encoder.down_blocks.${i}`;
    for (let j = 0; j < stage.layers; j++) x = block(read, `${name}.${j}`, x, stage, config);
    const next = stages[i + 1];
    if (next && stage.layers > 0) {
      x = downBlock(read, `${name}.${stage.layers}`, x, { channels: next.channels, unshuffle, shortcut: true });
    }
  }
  const latents = conv(read, 'encoder.conv_out', x, { channels: latentChannels, kernel: 3 });
  return encoderOutShortcut ? add(latents, meanOfGroups(x, latentChannels)) : latents;
}

/** Latents, not scaled, to pictures: [B, C, H, W] -> [B, 3, f H, f W] around -1 to 1, not clamped. */
export function decoderGraph(read: WeightReader, config: DcAeConfig, latents: Value): Value {
  const { decoder: stages, inChannels, decoderInShortcut } = config;
  const interpolate = config.upsample === 'interpolate';
  const channels = stages.at(-1)?.channels ?? 0;
  let x = conv(read, 'decoder.conv_in', latents, { channels, kernel: 3 });
  if (decoderInShortcut) x = add(x, repeatChannels(latents, channels));
  for (const [i, stage] of [...stages.entries()].reverse()) {
    const name = `decoder.up_blocks.${i}`;
    const isUp = i < stages.length - 1 && stage.layers > 0;
    if (isUp) x = upBlock(read, `${name}.0`, x, { channels: stage.channels, interpolate, shortcut: true });
    for (let j = 0; j < stage.layers; j++) x = block(read, `${name}.${isUp ? j + 1 : j}`, x, stage, config);
  }
  const y = activate(norm(read, 'decoder.norm_out', x, 'rms_norm'), config.decoderConvActivation);
  return firstStage(stages) === stages[0]
    ? conv(read, 'decoder.conv_out', y, { channels: inChannels, kernel: 3 })
    : upBlock(read, 'decoder.conv_out', y, { channels: inChannels, interpolate, shortcut: false });
}

/** The first stage that has layers: where the first has none, the convolution beside the picture halves it. */
function firstStage(stages: readonly DcAeStage[]): DcAeStage {
  const first = stages.find(({ layers }) => layers > 0);
  if (!first) throw new RangeError('AutoencoderDC: a stage with layers expected');
  return first;
}

function block(read: WeightReader, name: string, x: Value, stage: DcAeStage, { attentionHeadDim }: DcAeConfig): Value {
  return stage.block === 'ResBlock'
    ? resBlock(read, name, x, stage.norm, stage.activation)
    : efficientVitBlock(read, name, x, { headDim: attentionHeadDim, multiscales: stage.multiscales, norm: stage.norm });
}
