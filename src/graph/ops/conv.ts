import type { Tensor4D } from '@tensorflow/tfjs-core';

import { addDims, type Dim, floorDivDim, formatShape, mulDims } from '../dim.ts';
import { defineOp, derivedWeight, type Node, outputOf, type Value } from '../value.ts';
import { reduceSum, reshape } from './broadcast.ts';
import { matMul } from './matmul.ts';
import { concat, reverse, transpose } from './movement.ts';

/** How a convolution moves. */
export interface Conv2dOptions {
  /** The same on both axes, or of rows and of columns. @default 1 */
  readonly stride?: number | Strides;
  /** Zeros around the picture: as many on all sides, or on each. */
  readonly padding?: number | Sides;
  readonly groups?: number;
}

type Sides = readonly [top: number, left: number, bottom: number, right: number];

type Strides = readonly [rows: number, columns: number];

interface Attributes {
  readonly stride: Strides;
  readonly padding: Sides;
  readonly groups: number;
}

const conv2dName = 'conv2d';

const conv2dOp = defineOp<readonly [x: Value, kernel: Value, bias?: Value], Attributes>({
  name: conv2dName,
  infer([x, kernel, bias], { stride, padding, groups }) {
    const [b, c, h, w] = x.shape;
    const [out, perGroup, kh, kw] = kernel.shape;
    if (b === undefined || h === undefined || w === undefined || typeof c !== 'number' || x.shape.length !== 4) {
      throw new RangeError(`conv2d: an input [B, C, H, W] with known C expected, got ${formatShape(x.shape)}`);
    }
    if (
      typeof out !== 'number' ||
      typeof kh !== 'number' ||
      typeof kw !== 'number' ||
      perGroup !== c / groups ||
      out % groups !== 0
    ) {
      throw new RangeError(
        `conv2d: a kernel [out, ${c / groups}, kh, kw] expected for ${c} channels in ${groups} groups, got ${formatShape(kernel.shape)}`,
      );
    }
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out)) {
      throw new RangeError(`conv2d: a bias [${out}] expected, got ${formatShape(bias.shape)}`);
    }
    const [top, left, bottom, right] = padding;
    const size = (dim: Dim, more: number, step: number): Dim => addDims(floorDivDim(addDims(dim, more), step), 1);
    const rows = size(h, top + bottom - kh, stride[0]);
    return [{ dtype: x.dtype, shape: [b, out, rows, size(w, left + right - kw, stride[1])] }];
  },
  gradient({ inputs: [x, kernel, bias], attributes, dy, wants }) {
    return [
      wants[0] ? gradientOfInput(kernel, dy, attributes) : undefined,
      wants[1] ? gradientOfKernel(x, kernel, dy, attributes) : undefined,
      wants[2] && bias ? reduceSum(reduceSum(dy, [2, 3], false), [0], false) : undefined,
    ];
  },
  onnx({ inputs: [, kernel], attributes: { stride, padding, groups }, emit, names, outputNames }) {
    emit.node('Conv', names, outputNames, {
      strides: [...stride],
      pads: [...padding],
      group: groups,
      kernel_shape: kernel.shape.slice(2).map(Number),
    });
  },
  tfjs({ tf, inputs: [x, kernel, bias], attributes: { stride, padding, groups } }) {
    // TensorFlow.js' CPU backend wants channels last, and knows no groups but depthwise.
    const image: Tensor4D = tf.transpose(x as Tensor4D, [0, 2, 3, 1]);
    const filter: Tensor4D = tf.transpose(kernel as Tensor4D, [2, 3, 1, 0]); // [kh, kw, in / groups, out]
    const channels = image.shape[3];
    const [top, left, bottom, right] = padding;
    const edges: [number, number][] = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ];
    const padded = tf.pad<Tensor4D>(image, edges);
    const strides: [number, number] = [...stride];
    const convolve = (part: Tensor4D, weights: Tensor4D): Tensor4D => tf.conv2d(part, weights, strides, 'valid');
    let y: Tensor4D;
    if (groups === 1) {
      y = convolve(padded, filter);
    } else if (groups === channels && filter.shape[3] === channels) {
      const depthwise: Tensor4D = tf.transpose(filter, [0, 1, 3, 2]);
      y = tf.depthwiseConv2d(padded, depthwise, strides, 'valid');
    } else {
      const filters = tf.split<Tensor4D>(filter, groups, 3);
      const parts = tf.split<Tensor4D>(padded, groups, 3).map((part, i) => convolve(part, filters[i] ?? part));
      y = tf.concat(parts, 3);
    }
    const shifted = bias ? tf.add<Tensor4D>(y, tf.reshape(bias, [1, 1, 1, -1])) : y;
    return tf.transpose(shifted, [0, 3, 1, 2]);
  },
});

/** dx = dy convolved with the kernel turned by 180 degrees and its two channel axes swapped. */
function gradientOfInput(kernel: Value, dy: Value, { stride, padding: sides, groups }: Attributes): Value {
  const [out = 1, perGroup = 1, kh = 1, kw = 1] = kernel.shape;
  const [padding] = sides;
  if (!isOne(stride) || kh !== kw || sides.some((side) => side !== padding) || padding > Number(kh) - 1) {
    throw new RangeError(
      `conv2d: no gradient for stride ${stride.join(' x ')}, padding ${sides.join(', ')} and a kernel of ${kh} x ${kw}; nothing below it can be trained`,
    );
  }
  const perOut = Number(out) / groups;
  // A depthwise kernel is small. Known beforehand it gets a convolution of four times the speed on the CPU.
  const { leaf } = kernel.node;
  if (perOut === 1 && perGroup === 1 && leaf?.kind === 'weight') {
    const turned = kh === 1 ? kernel : derivedWeight(leaf.name, kernel.shape.map(Number), 'reversed');
    return conv2d(dy, turned, { padding: Number(kh) - 1 - padding, groups });
  }
  const turned = kh === 1 ? kernel : reverse(kernel, [2, 3]);
  const grouped = reshape(turned, [groups, perOut, perGroup, ...kernel.shape.slice(2)]);
  const swapped = reshape(transpose(grouped, [0, 2, 1, 3, 4]), [
    mulDims(groups, perGroup),
    perOut,
    ...kernel.shape.slice(2),
  ]);
  return conv2d(dy, swapped, { padding: Number(kh) - 1 - padding, groups });
}

/** dW[o, c] = x[c] correlated with dy[o]: a convolution whose batch is c and whose channels are the samples. */
function gradientOfKernel(x: Value, kernel: Value, dy: Value, { stride, padding, groups }: Attributes): Value {
  if (!isOne(stride) || groups !== 1) {
    throw new RangeError(
      `conv2d: no gradient of a kernel with stride ${stride.join(' x ')} and ${groups} groups; it cannot be trained`,
    );
  }
  if (kernel.shape[2] === 1 && kernel.shape[3] === 1 && padding.every((side) => side === 0)) {
    return reshape(reduceSum(correlate(dy, x), [0], false), kernel.shape);
  }
  if (x.shape.some((dim) => typeof dim !== 'number')) {
    throw new RangeError(
      `conv2d: the gradient of a kernel of ${kernel.shape[2]} x ${kernel.shape[3]} needs known sizes, not ${formatShape(x.shape)}`,
    );
  }
  const samples = transpose(x, [1, 0, 2, 3]); // [C, B, H, W]
  return transpose(conv2d(samples, transpose(dy, [1, 0, 2, 3]), { padding }), [1, 0, 2, 3]);
}

function isOne([rows, columns]: Strides): boolean {
  return rows === 1 && columns === 1;
}

function correlate(dy: Value, x: Value): Value {
  const flat = (v: Value): Value => reshape(v, [...v.shape.slice(0, 2), -1]);
  return matMul(flat(dy), flat(x), { transB: true }); // [B, out, C]
}

/**
 * Two-dimensional convolution. x [B, C, H, W], kernel [out, C / groups, kh, kw], bias [out] -> [B, out, H', W'] with
 * H' = floor((H + 2 padding - kh) / stride) + 1. Differentiable for stride 1, square kernels and padding that is the same on
 * all sides.
 * @throws RangeError when shapes do not fit.
 */
export function conv2d(
  x: Value,
  kernel: Value,
  { stride = 1, padding = 0, groups = 1, bias }: Conv2dOptions & { readonly bias?: Value } = {},
): Value {
  const sides = typeof padding === 'number' ? ([padding, padding, padding, padding] as const) : padding;
  const strides = typeof stride === 'number' ? ([stride, stride] as const) : stride;
  const attributes = { stride: strides, padding: sides, groups };
  return outputOf(bias ? conv2dOp([x, kernel, bias], attributes) : conv2dOp([x, kernel], attributes));
}

/** Whether a node is a convolution that looks at each pixel and the eight around it, with zeros around the picture. */
export function isPlain3x3({ op, attributes, inputs: [, kernel] }: Node): boolean {
  if (op !== conv2dName) return false;
  const { stride, padding, groups } = attributes as Attributes;
  const [, , kh, kw] = kernel?.shape ?? [];
  return kh === 3 && kw === 3 && groups === 1 && isOne(stride) && padding.every((side) => side === 1);
}

const joinPixelsOp = defineOp<readonly [x: Value], { readonly factor: number }>({
  name: 'joinPixels',
  infer([{ dtype, shape }], { factor }) {
    const [b = 1, c = 1, h = 1, w = 1] = shape;
    const channels = Number(c) / factor ** 2;
    if (!Number.isInteger(channels))
      throw new RangeError(`joinPixels: ${c} channels are not a multiple of ${factor}^2`);
    return [{ dtype, shape: [b, channels, mulDims(h, factor), mulDims(w, factor)] }];
  },
  gradient({ inputs: [x], attributes: { factor }, dy }) {
    const [b = 1, c = 1, h = 1, w = 1] = x.shape;
    const blocks = reshape(dy, [b, Number(c) / factor ** 2, h, factor, w, factor]);
    return [reshape(transpose(blocks, [0, 3, 5, 1, 2, 4]), x.shape)];
  },
  onnx({ attributes: { factor }, emit, names, outputNames }) {
    emit.node('DepthToSpace', names, outputNames, { blocksize: factor, mode: 'DCR' });
  },
  tfjs({ tf, inputs: [x], attributes: { factor } }) {
    const image: Tensor4D = tf.transpose(x as Tensor4D, [0, 2, 3, 1]);
    return tf.transpose(tf.depthToSpace(image, factor, 'NHWC'), [0, 3, 1, 2]);
  },
});

/**
 * Pictures of the pixels of each place in blocks of r x r, put together: `parts` r^2 of [B, C, H, W], row by row of a block
 * -> [B, C, r H, r W]. It takes half the time of pixelShuffle, whose channels are ordered otherwise.
 */
export function joinPixels(parts: readonly Value[]): Value {
  return outputOf(joinPixelsOp([concat(parts, 1)], { factor: Math.sqrt(parts.length) }));
}

/** [B, C r^2, H, W] -> [B, C, r H, r W], as torch.pixel_shuffle orders it. */
export function pixelShuffle(x: Value, factor: number): Value {
  const [b = 1, c = 1, h = 1, w = 1] = x.shape;
  const channels = Number(c) / factor ** 2;
  if (!Number.isInteger(channels)) {
    throw new RangeError(`pixelShuffle: ${c} channels are not a multiple of ${factor}^2`);
  }
  const blocks = transpose(reshape(x, [b, channels, factor, factor, h, w]), [0, 1, 4, 2, 5, 3]);
  return reshape(blocks, [b, channels, mulDims(h, factor), mulDims(w, factor)]);
}

/** [B, C, r H, r W] -> [B, C r^2, H, W], as torch.pixel_unshuffle orders it. */
export function pixelUnshuffle(x: Value, factor: number): Value {
  const [b = 1, c = 1, h = 1, w = 1] = x.shape;
  const [rows, columns] = [floorDivDim(h, factor), floorDivDim(w, factor)];
  const blocks = transpose(reshape(x, [b, c, rows, factor, columns, factor]), [0, 1, 3, 5, 2, 4]);
  return reshape(blocks, [b, mulDims(c, factor ** 2), rows, columns]);
}
