import { addDims, type Dim, formatShape, mulDims, normalizeAxis, type Shape } from '../dim.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { expand, reshape, scalarTensor } from './broadcast.ts';
import { scalar } from './elementwise.ts';

const transposeOp = defineOp<readonly [x: Value], { readonly permutation: readonly number[] }>({
  name: 'transpose',
  infer([x], { permutation }) {
    const shape = permutation.map((axis) => x.shape[axis]);
    const known = shape.filter((dim) => dim !== undefined);
    if (known.length !== x.shape.length || new Set(permutation).size !== x.shape.length) {
      throw new RangeError(
        `transpose: [${permutation.join(', ')}] is no permutation of the axes of ${formatShape(x.shape)}`,
      );
    }
    return [{ dtype: x.dtype, shape: known }];
  },
  gradient({ attributes: { permutation }, dy }) {
    return [
      transpose(
        dy,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
    ];
  },
  onnx: ({ attributes: { permutation }, emit, names, outputNames }) =>
    emit.node('Transpose', names, outputNames, { perm: permutation }),
  tfjs: ({ tf, inputs: [x], attributes: { permutation } }) => tf.transpose(x, [...permutation]),
});

/** Axis i of the result is axis permutation[i] of `x`. */
export function transpose(x: Value, permutation: readonly number[]): Value {
  if (permutation.every((axis, i) => axis === i)) return x;
  return outputOf(transposeOp([x], { permutation }));
}

const sliceOp = defineOp<readonly [x: Value], { readonly axis: number; readonly start: Dim; readonly end: Dim }>({
  name: 'slice',
  infer([x], { axis, start, end }) {
    const size = addDims(end, mulDims(start, -1));
    return [{ dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) }];
  },
  gradient({ inputs: [x], attributes: { axis, start, end }, dy }) {
    const full = x.shape[axis] ?? 0;
    return [pad(dy, axis, start, addDims(full, mulDims(end, -1)))];
  },
  onnx({ attributes: { axis, start, end }, emit, names, outputNames }) {
    emit.node('Slice', [...names, emit.shape([start]), emit.shape([end]), emit.int64([axis])], outputNames);
  },
  tfjs({ tf, inputs: [x], attributes: { axis, start, end }, size }) {
    const begin = x.shape.map((_, i) => (i === axis ? size(start) : 0));
    return tf.slice(
      x,
      begin,
      x.shape.map((dim, i) => (i === axis ? size(end) - size(start) : dim)),
    );
  },
});

/** Elements start to end (not included) along `axis`. @throws RangeError when numbers are out of range. */
export function slice(x: Value, axis: number, start: Dim, end: Dim): Value {
  const normal = normalizeAxis('slice', axis, x.shape.length);
  const size = x.shape[normal];
  if (start === 0 && end === size) return x;
  if (
    typeof start === 'number' &&
    typeof end === 'number' &&
    (start < 0 || end <= start || (typeof size === 'number' && end > size))
  ) {
    throw new RangeError(`slice: ${start} to ${end} of axis ${normal} of ${formatShape(x.shape)}`);
  }
  return outputOf(sliceOp([x], { axis: normal, start, end }));
}

const padOp = defineOp<readonly [x: Value], { readonly axis: number; readonly before: Dim; readonly after: Dim }>({
  name: 'pad',
  infer([x], { axis, before, after }) {
    return [
      { dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? addDims(addDims(before, dim), after) : dim)) },
    ];
  },
  gradient({ inputs: [x], attributes: { axis, before }, dy }) {
    return [slice(dy, axis, before, addDims(before, x.shape[axis] ?? 0))];
  },
  onnx({ inputs: [x], attributes: { axis, before, after }, emit, names, outputNames }) {
    const zero = emit.constant(scalarTensor(x.dtype, 0));
    emit.node('Pad', [...names, emit.shape([before, after]), zero, emit.int64([axis])], outputNames);
  },
  tfjs({ tf, inputs: [x], attributes: { axis, before, after }, size }) {
    return tf.pad(
      x,
      x.shape.map((_, i): [number, number] => (i === axis ? [size(before), size(after)] : [0, 0])),
    );
  },
});

/** Zeros before and after `x` along `axis`. */
export function pad(x: Value, axis: number, before: Dim, after: Dim): Value {
  if (before === 0 && after === 0) return x;
  return outputOf(padOp([x], { axis: normalizeAxis('pad', axis, x.shape.length), before, after }));
}

const concatOp = defineOp<readonly Value[], { readonly axis: number }>({
  name: 'concat',
  infer(parts, { axis }) {
    const [first] = parts;
    if (!first) throw new RangeError('concat: at least one value expected');
    for (const part of parts) {
      const fits = part.dtype === first.dtype && part.shape.length === first.shape.length;
      if (!fits || part.shape.some((dim, i) => i !== axis && dim !== first.shape[i])) {
        throw new RangeError(
          `concat: ${formatShape(first.shape)} and ${formatShape(part.shape)} differ beside axis ${axis}`,
        );
      }
    }
    const size = parts.reduce<Dim>((sum, part) => addDims(sum, part.shape[axis] ?? 0), 0);
    return [{ dtype: first.dtype, shape: first.shape.map((dim, i) => (i === axis ? size : dim)) }];
  },
  gradient({ inputs, attributes: { axis }, dy, wants }) {
    const sizes = inputs.map((part) => part.shape[axis]).filter((size) => typeof size === 'number');
    if (sizes.length === inputs.length && wants.every(Boolean)) return split(dy, axis, sizes);
    let start: Dim = 0;
    return inputs.map((part, i) => {
      const from = start;
      start = addDims(start, part.shape[axis] ?? 0);
      return wants[i] ? slice(dy, axis, from, start) : undefined;
    });
  },
  onnx: ({ attributes: { axis }, emit, names, outputNames }) => emit.node('Concat', names, outputNames, { axis }),
  tfjs: ({ tf, inputs, attributes: { axis } }) => tf.concat([...inputs], axis),
});

/** Values one after the other along `axis`. */
export function concat(parts: readonly Value[], axis: number): Value {
  const [first] = parts;
  if (!first) throw new RangeError('concat: at least one value expected');
  return parts.length === 1
    ? first
    : outputOf(concatOp(parts, { axis: normalizeAxis('concat', axis, first.shape.length) }));
}

const splitOp = defineOp<readonly [x: Value], { readonly axis: number; readonly sizes: readonly number[] }>({
  name: 'split',
  infer([x], { axis, sizes }) {
    const sum = sizes.reduce((a, b) => a + b, 0);
    if (sum !== x.shape[axis]) {
      throw new RangeError(
        `split: sizes ${sizes.join(' + ')} = ${sum}, axis ${axis} of ${formatShape(x.shape)} has ${x.shape[axis]}`,
      );
    }
    return sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) }));
  },
  gradient({ outputs, attributes: { axis }, dys }) {
    return [
      concat(
        outputs.map((part, i) => dys[i] ?? expand(scalar(0, part.dtype), part.shape)),
        axis,
      ),
    ];
  },
  onnx({ attributes: { axis, sizes }, emit, names, outputNames }) {
    emit.node('Split', [...names, emit.int64(sizes)], outputNames, { axis });
  },
  tfjs: ({ tf, inputs: [x], attributes: { axis, sizes } }) => tf.split(x, [...sizes], axis),
});

/** Cuts `x` along `axis` into parts of the given sizes, which add up to it. */
export function split(x: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  return splitOp([x], { axis: normalizeAxis('split', axis, x.shape.length), sizes }).outputs;
}

const reverseOp = defineOp<readonly [x: Value], { readonly axes: readonly number[] }>({
  name: 'reverse',
  infer: ([x]) => [x],
  gradient: ({ attributes: { axes }, dy }) => [reverse(dy, axes)],
  onnx({ attributes: { axes }, emit, names, outputNames }) {
    // Slices from the last element (-1) to before the first, in steps of -1. Some providers count in 32 bits.
    const [last, before, step] = [-1, -(2 ** 31), -1].map((value) => emit.int64(axes.map(() => value)));
    if (!last || !before || !step) throw new RangeError('reverse: no axes');
    emit.node('Slice', [...names, last, before, emit.int64(axes), step], outputNames);
  },
  tfjs: ({ tf, inputs: [x], attributes: { axes } }) => tf.reverse(x, [...axes]),
});

/** `x` with the elements of `axes` in the opposite order. */
export function reverse(x: Value, axes: readonly number[]): Value {
  return outputOf(reverseOp([x], { axes: axes.map((axis) => normalizeAxis('reverse', axis, x.shape.length)) }));
}

/** Repeats each element of `axis` `times` times, as torch.repeat_interleave does. */
export function repeatInterleave(x: Value, axis: number, times: number): Value {
  const normal = normalizeAxis('repeatInterleave', axis, x.shape.length);
  const insert = (shape: Shape, dim: Dim): Shape => [...shape.slice(0, normal + 1), dim, ...shape.slice(normal + 1)];
  const repeated = expand(reshape(x, insert(x.shape, 1)), insert(x.shape, times));
  return reshape(
    repeated,
    x.shape.map((dim, i) => (i === normal ? mulDims(dim, times) : dim)),
  );
}
