import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import {
  broadcastShapes,
  canonicalDim,
  type Dim,
  equalShapes,
  exactDivDim,
  formatShape,
  mulDims,
  normalizeAxis,
  type Shape,
  shapeSize,
} from '../dim.ts';
import { type DType, tensor } from '../tensor.ts';
import { defineOp, outputOf, type Value } from '../value.ts';

const reshapeOp = defineOp<readonly [x: Value], { readonly shape: Shape }>({
  name: 'reshape',
  infer([x], { shape }) {
    const holes = shape.filter((dim) => dim === -1).length;
    const rest = shape.reduce<Dim>((product, dim) => (dim === -1 ? product : mulDims(product, dim)), 1);
    const size = shapeSize(x.shape);
    if (holes > 1 || (holes === 0 && rest !== size)) {
      throw new RangeError(`reshape: ${formatShape(x.shape)} has ${size} elements, ${formatShape(shape)} has ${rest}`);
    }
    return [{ dtype: x.dtype, shape: shape.map((dim) => (dim === -1 ? exactDivDim(size, rest) : dim)) }];
  },
  gradient: ({ inputs: [x], dy }) => [reshape(dy, x.shape)],
  onnx({ inputs: [x], outputs, emit, names, outputNames }) {
    const shape = outputs[0]?.shape ?? [];
    // 0 copies an axis and one -1 is worked out by the runtime: most symbolic shapes need no more than that.
    const hints = shape.map((dim, axis) => (typeof dim === 'number' ? dim : dim === x.shape[axis] ? 0 : -1));
    const simple = hints.filter((hint) => hint === -1).length <= 1;
    emit.node('Reshape', [...names, simple ? emit.int64(hints) : emit.shape(shape)], outputNames);
  },
  tfjs: ({ tf, inputs: [x], attributes: { shape }, size }) => tf.reshape(x, shape.map(size)),
});

/** The same elements in another shape; one axis may be -1, the size that is left. */
export function reshape(x: Value, shape: Shape): Value {
  const canonical = shape.map(canonicalDim);
  return equalShapes(x.shape, canonical) ? x : outputOf(reshapeOp([x], { shape: canonical }));
}

const expandOp = defineOp<readonly [x: Value], { readonly shape: Shape }>({
  name: 'expand',
  infer([x], { shape }) {
    if (!equalShapes(broadcastShapes('expand', x.shape, shape), shape)) {
      throw new RangeError(`expand: ${formatShape(x.shape)} does not expand to ${formatShape(shape)}`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  gradient: ({ inputs: [x], dy }) => [sumTo(dy, x.shape)],
  onnx({ attributes: { shape }, emit, names, outputNames }) {
    emit.node('Expand', [...names, emit.shape(shape)], outputNames);
  },
  tfjs: ({ tf, inputs: [x], attributes: { shape }, size }) => tf.broadcastTo(x, shape.map(size)),
});

/** `x` repeated along its axes of size 1 (and new leading ones) up to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  const canonical = shape.map(canonicalDim);
  return equalShapes(x.shape, canonical) ? x : outputOf(expandOp([x], { shape: canonical }));
}

const reduceSumOp = defineOp<readonly [x: Value], { readonly axes: readonly number[] }>({
  name: 'reduceSum',
  infer: ([x], { axes }) => [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) }],
  gradient: ({ inputs: [x], dy }) => [expand(dy, x.shape)],
  onnx({ attributes: { axes }, emit, names, outputNames }) {
    emit.node('ReduceSum', [...names, emit.int64(axes)], outputNames, { keepdims: 1 });
  },
  tfjs: ({ tf, inputs: [x], attributes: { axes } }) => tf.sum(x, [...axes], true),
});

/** Sums over `axes`, which stay with size 1 unless `keepDims` is false. */
export function reduceSum(x: Value, axes: readonly number[], keepDims = true): Value {
  const normal = axes.map((axis) => normalizeAxis('reduceSum', axis, x.shape.length));
  // Adding up one element is no work.
  const busy = normal.filter((axis) => x.shape[axis] !== 1);
  const sum = busy.length === 0 ? x : outputOf(reduceSumOp([x], { axes: busy }));
  return keepDims ? sum : reshape(sum, dropAxes(x.shape, normal));
}

/** A shape without some of its axes. */
export function dropAxes(shape: Shape, axes: readonly number[]): Shape {
  return shape.filter((_, axis) => !axes.includes(axis));
}

/** The gradient of broadcasting: sums `dy` over the axes along which an operand of `shape` was repeated. */
export function sumTo(dy: Value, shape: Shape): Value {
  if (equalShapes(dy.shape, shape)) return dy;
  const extra = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((dim, axis) =>
    axis < extra || (shape[axis - extra] === 1 && dim !== 1) ? [axis] : [],
  );
  return reshape(reduceSum(dy, axes), shape);
}

const sizeOp = defineOp<readonly [], { readonly dim: string }>({
  name: 'size',
  infer: () => [{ dtype: 'float32', shape: [] }],
  onnx: ({ attributes: { dim }, emit, outputNames: [out = ''] }) => emit.scalarSize(dim, out),
  tfjs: ({ tf, attributes: { dim }, size }): TfTensor => tf.scalar(size(dim)),
});

/** A size as a float32 scalar: a constant where it is known, else worked out in each run. */
export function sizeOf(dim: Dim): Value | number {
  return typeof dim === 'number' ? dim : outputOf(sizeOp([], { dim }));
}

/** A scalar constant's tensor of a floating or integer dtype. */
export function scalarTensor(dtype: DType, value: number): ReturnType<typeof tensor> {
  switch (dtype) {
    case 'float32':
      return tensor(dtype, [], Float32Array.of(value));
    case 'float64':
      return tensor(dtype, [], Float64Array.of(value));
    case 'int32':
      return tensor(dtype, [], Int32Array.of(value));
    case 'int64':
      return tensor(dtype, [], BigInt64Array.of(BigInt(value)));
    default:
      throw new RangeError(`scalar: no ${dtype} scalars; cast to float32 first`);
  }
}
