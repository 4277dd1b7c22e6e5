/**
 * The parts of AutoencoderDC. Shapes: B batch, C channels, H and W a feature map's height and width, N = H W.
 * Feature maps stay [B, C, H, W] throughout; what diffusers computes on channels-last copies is done along axis 1.
 */
import { reduceMean } from '../graph/ops/reduce.ts';
import { gelu, silu } from '../graph/ops/activation.ts';
import { reshape } from '../graph/ops/broadcast.ts';
import { conv2d } from '../graph/ops/conv.ts';
import { add, clip, div, exp, mul, relu, sqrt, sub } from '../graph/ops/elementwise.ts';
import { repeatInterleave } from '../graph/ops/movement.ts';
import { rmsNorm } from '../graph/ops/normalization.ts';
import type { Value } from '../graph/value.ts';
import type { DcAeActivation, DcAeNorm } from './dc-ae-config.ts';
import type { WeightReader } from './weights.ts';

/** The eps of all norms of AutoencoderDC (get_normalization's default, and GLUMBConv's). */
const normEps = 1e-5;

interface ConvOptions {
  readonly channels: number;
  /** @default 1 */
  readonly kernel?: number;
  /** @default 1 */
  readonly stride?: number;
  /** @default 1 */
  readonly groups?: number;
  /** @default true */
  readonly bias?: boolean;
}

/** nn.Conv2d `name` with zeros around, so that stride 1 keeps the size. x [B, C, H, W] -> [B, channels, H', W']. */
export function conv(read: WeightReader, name: string, x: Value, options: ConvOptions): Value {
  const { channels, kernel = 1, stride = 1, groups = 1, bias = true } = options;
  const weight = read(`${name}.weight`, [channels, channelsOf(x) / groups, kernel, kernel]);
  const settings = { stride, padding: Math.floor(kernel / 2), groups };
  return bias
    ? conv2d(x, weight, { ...settings, bias: read(`${name}.bias`, [channels]) })
    : conv2d(x, weight, settings);
}

/** nn.Linear `name` without bias over the channels. x [B, C, H, W] -> [B, channels, H, W]. */
export function channelLinear(read: WeightReader, name: string, x: Value, channels: number): Value {
  const width = channelsOf(x);
  return conv2d(x, read(`${name}.weight`, [channels, width], [channels, width, 1, 1]));
}

/** The number of channels of [B, C, H, W]. */
export function channelsOf({ shape: [, channels] }: Value): number {
  if (typeof channels !== 'number')
    throw new RangeError(`AutoencoderDC: a known number of channels expected, got ${channels}`);
  return channels;
}

/** The norm `name` over the channels of [B, C, H, W], with scale and shift. */
export function norm(read: WeightReader, name: string, x: Value, type: DcAeNorm): Value {
  const channels = channelsOf(x);
  const vector = (part: string): Value => read(`${name}.${part}`, [channels], [channels, 1, 1]);
  const [scale, shift] = [vector('weight'), vector('bias')];
  if (type === 'rms_norm') return add(mul(rmsNorm(x, normEps, 1), scale), shift);
  // BatchNorm2d out of training: (x - mean) / sqrt(var + eps) scale + shift, as one factor and one term a channel.
  const factor = div(scale, sqrt(add(vector('running_var'), normEps)));
  return add(mul(x, factor), sub(shift, mul(vector('running_mean'), factor)));
}

/** diffusers' get_activation. */
export function activate(x: Value, activation: DcAeActivation): Value {
  switch (activation) {
    case 'silu':
    case 'swish':
      return silu(x);
    case 'relu':
      return relu(x);
    case 'gelu':
      return gelu(x);
    case 'mish': {
      // x tanh(log(1 + e^x)) = x n / (n + 2), n = e^x (e^x + 2). Beyond 20 the quotient is 1 in float32.
      const e = exp(clip(x, -100, 20));
      const n = mul(e, add(e, 2));
      return mul(x, div(n, add(n, 2)));
    }
    case null:
      return x;
  }
}

/** ResBlock: x + norm(conv2(act(conv1(x)))). [B, C, H, W] -> [B, C, H, W]. */
export function resBlock(
  read: WeightReader,
  name: string,
  x: Value,
  type: DcAeNorm,
  activation: DcAeActivation,
): Value {
  const channels = channelsOf(x);
  const inner = activate(conv(read, `${name}.conv1`, x, { channels, kernel: 3 }), activation);
  const outer = conv(read, `${name}.conv2`, inner, { channels, kernel: 3, bias: false });
  return add(norm(read, `${name}.norm`, outer, type), x);
}

/** The mean of each run of neighbouring channels, so that `channels` are left. [B, C, H, W] -> [B, channels, H, W]. */
export function meanOfGroups(x: Value, channels: number): Value {
  const [b = 1, , h = 1, w = 1] = x.shape;
  const size = channelsOf(x) / channels;
  return size === 1 ? x : reduceMean(reshape(x, [b, channels, size, h, w]), [2], false);
}

/** Each channel repeated in place, so that there are `channels`. [B, C, H, W] -> [B, channels, H, W]. */
export function repeatChannels(x: Value, channels: number): Value {
  const times = channels / channelsOf(x);
  return times === 1 ? x : repeatInterleave(x, 1, times);
}
