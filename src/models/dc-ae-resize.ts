/**
 * The blocks of AutoencoderDC that halve and double a feature map. Shapes: B batch, C channels of the input, H and W
 * height and width of the smaller map.
 */
import { reshape } from '../graph/ops/broadcast.ts';
import { conv2d, pixelShuffle, pixelUnshuffle, upsampleNearest } from '../graph/ops/conv.ts';
import { add } from '../graph/ops/elementwise.ts';
import { concat, slice } from '../graph/ops/movement.ts';
import { float32 } from '../graph/tensor.ts';
import { constant, type Value } from '../graph/value.ts';
import { channelsOf, conv, repeatChannels } from './dc-ae-blocks.ts';
import type { WeightReader } from './weights.ts';

/** Settings of a block that halves. */
export interface DownOptions {
  /** Channels of the output. */
  readonly channels: number;
  /** Whether pixel_unshuffle halves, and not the convolution's stride. */
  readonly unshuffle: boolean;
  /** Whether the input is added, its pixels as channels and averaged. */
  readonly shortcut: boolean;
}

/** DCDownBlock2d. [B, C, 2H, 2W] -> [B, channels, H, W]. */
export function downBlock(
  read: WeightReader,
  name: string,
  x: Value,
  { channels, unshuffle, shortcut }: DownOptions,
): Value {
  const y = unshuffle
    ? pixelUnshuffle(conv(read, `${name}.conv`, x, { channels: channels / 4, kernel: 3 }), 2)
    : conv(read, `${name}.conv`, x, { channels, kernel: 3, stride: 2 });
  return shortcut ? add(y, averageUnshuffled(x, channels)) : y;
}

/**
 * pixel_unshuffle and the mean of each run of neighbouring channels: [B, C, 2H, 2W] -> [B, channels, H, W].
 * As a convolution with a fixed kernel it takes a third of the time of a transpose. Pixel (i, j) of channel c is
 * unshuffled channel 4 c + 2 i + j.
 */
function averageUnshuffled(x: Value, channels: number): Value {
  const width = channelsOf(x);
  const mean = (4 * width) / channels;
  const groups = greatestCommonDivisor(width, channels);
  const perGroup = width / groups;
  const kernel = new Float32Array(channels * perGroup * 4);
  for (let from = 0; from < 4 * width; from++) {
    const [c, pixel] = [Math.floor(from / 4), from % 4];
    kernel[(Math.floor(from / mean) * perGroup + (c % perGroup)) * 4 + pixel] = 1 / mean;
  }
  return conv2d(x, constant(float32([channels, perGroup, 2, 2], kernel)), { stride: 2, groups });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Settings of a block that doubles. */
export interface UpOptions {
  /** Channels of the output. */
  readonly channels: number;
  /** Whether nearest interpolation doubles, and not pixel_shuffle. */
  readonly interpolate: boolean;
  /** Whether the input is added, repeated and its channels as pixels. */
  readonly shortcut: boolean;
}

/** DCUpBlock2d. [B, C, H, W] -> [B, channels, 2H, 2W]. */
export function upBlock(
  read: WeightReader,
  name: string,
  x: Value,
  { channels, interpolate, shortcut }: UpOptions,
): Value {
  if (!interpolate) {
    const y = conv(read, `${name}.conv`, x, { channels: channels * 4, kernel: 3 });
    return pixelShuffle(shortcut ? add(y, repeatChannels(x, channels * 4)) : y, 2);
  }
  const big = upsampleNearest(x, 2);
  const y = conv(read, `${name}.conv`, big, { channels, kernel: 3 });
  return shortcut ? add(y, shuffleRepeated(x, big, channels)) : y;
}

/**
 * Channels repeated r = 4 channels / C times, then pixel_shuffle: pixel (i, j) of channel o is input channel
 * (4 o + 2 i + j) / r, rounded down. For the usual r it can be put together from `big`, the input interpolated, which
 * takes a fifth of the time of a transpose. [B, C, H, W] -> [B, channels, 2H, 2W].
 */
function shuffleRepeated(x: Value, big: Value, channels: number): Value {
  const times = (4 * channels) / channelsOf(x);
  if (times % 4 === 0) return repeatChannels(big, channels);
  if (times !== 2) return pixelShuffle(repeatChannels(x, 4 * channels), 2);
  // Channel 2 o + i in the rows of parity i.
  const [b = 1, , height = 1, width = 1] = big.shape;
  const pairs = reshape(big, [b, channels, 2, x.shape[2] ?? 1, 2, width]);
  const rows = [0, 1].map((i) => slice(slice(pairs, 2, i, i + 1), 4, i, i + 1)); // [B, channels, 1, H, 1, 2W]
  return reshape(concat(rows, 4), [b, channels, height, width]);
}
