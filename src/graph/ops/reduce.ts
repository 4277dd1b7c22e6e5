import { normalizeAxis, shapeSize } from '../dim.ts';
import { float32 } from '../tensor.ts';
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
  onnx({ inputs: [x], outputs: [y], attributes: { axes }, emit, names: [name = ''], outputNames }) {
    const [axis = 0, ...others] = axes;
    const size = x.shape[axis];
    if (others.length > 0 || axis === x.shape.length - 1 || typeof size !== 'number' || x.dtype !== 'float32') {
      emit.node('ReduceSumSquare', [name, emit.int64(axes)], outputNames, { keepdims: 1 });
      return;
    }
    // Over an axis that is not the last, a product with ones takes a quarter of ReduceSumSquare's time on the CPU.
    const square = emit.temporary();
    const flat = emit.temporary();
    const sum = emit.temporary();
    const ones = emit.constant(float32([1, size], new Float32Array(size).fill(1)));
    emit.node('Mul', [name, name], [square]);
    emit.node('Reshape', [square, emit.int64([...x.shape.slice(0, axis).map(() => 0), size, -1])], [flat]);
    emit.node('MatMul', [ones, flat], [sum]); // [.., 1, size] x [.., size, N]
    emit.node('Reshape', [sum, emit.shape(y?.shape ?? [])], outputNames);
  },
  tfjs: ({ tf, inputs: [x], attributes: { axes } }) => tf.sum(tf.square(x), [...axes], true),
});

/** The sum of x^2 over `axes`, which stay with size 1: faster than mul and reduceSum. */
export function reduceSumSquare(x: Value, axes: readonly number[]): Value {
  const normal = axes.map((axis) => normalizeAxis('reduceSumSquare', axis, x.shape.length));
  if (normal.length === 0) return mul(x, x);
  return outputOf(reduceSumSquareOp([x], { axes: normal }));
}
