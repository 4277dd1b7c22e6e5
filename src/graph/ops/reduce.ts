import { normalizeAxis, shapeSize } from '../dim.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { dropAxes, expand, reshape, sizeOf } from './broadcast.ts';
import { div, mul } from './elementwise.ts';

interface ReduceAttributes {
  readonly axes: readonly number[];
}

const reduceMeanOp = defineOp<readonly [x: Value], ReduceAttributes>({
  name: 'reduceMean',
  infer: ([x], { axes }) => [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) }],
  gradient({ inputs: [x], attributes: { axes }, dy }) {
    const count = sizeOf(shapeSize(x.shape.filter((_, axis) => axes.includes(axis))));
    return [expand(div(dy, count), x.shape)];
  },
  onnx({ attributes: { axes }, emit, names, outputNames }) {
    emit.node('ReduceMean', [...names, emit.int64(axes)], outputNames, { keepdims: 1 });
  },
  tfjs: ({ tf, inputs: [x], attributes: { axes } }) => tf.mean(x, [...axes], true),
});

/** The mean over `axes` (default: all), which stay with size 1 unless `keepDims` is false. */
export function reduceMean(x: Value, axes: readonly number[] = x.shape.map((_, axis) => axis), keepDims = true): Value {
  const normal = axes.map((axis) => normalizeAxis('reduceMean', axis, x.shape.length));
  // ONNX takes no axes at all for all of them.
  if (normal.length === 0) return x;
  const mean = outputOf(reduceMeanOp([x], { axes: normal }));
  return keepDims ? mean : reshape(mean, dropAxes(x.shape, normal));
}

const reduceSumSquareOp = defineOp<readonly [x: Value], ReduceAttributes>({
  name: 'reduceSumSquare',
  infer: ([x], { axes }) => [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) }],
  gradient: ({ inputs: [x], dy }) => [mul(mul(dy, 2), x)],
  onnx({ attributes: { axes }, emit, names, outputNames }) {
    emit.node('ReduceSumSquare', [...names, emit.int64(axes)], outputNames, { keepdims: 1 });
  },
  tfjs: ({ tf, inputs: [x], attributes: { axes } }) => tf.sum(tf.square(x), [...axes], true),
});

/** The sum of x^2 over `axes`, which stay with size 1: one pass where mul and reduceSum take two. */
export function reduceSumSquare(x: Value, axes: readonly number[]): Value {
  const normal = axes.map((axis) => normalizeAxis('reduceSumSquare', axis, x.shape.length));
  if (normal.length === 0) return mul(x, x);
  return outputOf(reduceSumSquareOp([x], { axes: normal }));
}
