/**
 * The blocks of AutoencoderDC that halve and double a feature map. Shapes: B batch, C channels of the input, H and W
 * height and width of the smaller map.
 */
import { reshape } from '../graph/ops/broadcast.ts';
import { conv2d, joinPixels, pixelShuffle, pixelUnshuffle } from '../graph/ops/conv.ts';
import { add } from '../graph/ops/elementwise.ts';
import { split } from '../graph/ops/movement.ts';
import { float32 } from '../graph/tensor.ts';
import { constant, type Value } from '../graph/value.ts';
import { channelsOf, conv, repeatChannels } from './dc-ae-blocks.ts';
import { pixelKernels, type WeightReader } from './weights.ts';

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
  // Interpolated, four pixels see the same 2x2 pixels of x, each through sums of the 3x3 kernel: 4/9 of the multiplications.
  const bias = read(`${name}.conv.bias`, [channels]);
  const kernels = pixelKernels(read(`${name}.conv.weight`, [channels, channelsOf(x), 3, 3]));
  const added = shortcut ? repeatedPixels(x, channels) : [];
  const pixels = kernels.map((kernel, pixel) => {
    const [row, column] = [pixel >> 1, pixel & 1];
    const y = conv2d(x, kernel, { padding: [1 - row, 1 - column, row, column], bias });
    const more = added[pixel];
    return more ? add(y, more) : y;
  }); // each [B, channels, H, W]
  return joinPixels(pixels);
}

/**
 * Channels repeated r = 4 channels / C times, then pixel_shuffle: pixel (i, j) of channel o is input channel
 * (4 o + 2 i + j) / r, rounded down. The four pixels apart. [B, C, H, W] -> each [B, channels, H, W].
 */
function repeatedPixels(x: Value, channels: number): readonly Value[] {
  const [b = 1, width = 1, h = 1, w = 1] = x.shape;
  const times = (4 * channels) / Number(width);
  const count = times % 4 === 0 ? 1 : times === 2 ? 2 : 4;
  const groups = reshape(repeatChannels(x, count * channels), [b, channels, count, h, w]);
  const parts = split(groups, 2, Array<number>(count).fill(1)).map((part) => reshape(part, [b, channels, h, w]));
  return [0, 1, 2, 3].flatMap((pixel) => parts[Math.floor((pixel * count) / 4)] ?? []);
}
