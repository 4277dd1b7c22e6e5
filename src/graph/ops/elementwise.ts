import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';

import { broadcastShapes } from '../dim.ts';
import type { DType } from '../tensor.ts';
import { constant, defineOp, outputOf, type Tfjs, unpacksWeight, type Value } from '../value.ts';
import { scalarTensor, sumTo } from './broadcast.ts';

/** A value, or a number that stands for a scalar of the other operand's dtype. */
export type Operand = Value | number;

/** What TensorFlow.js keeps a dtype as: it has three, and the 16-bit floats are float32 there. */
export function tfjsType(dtype: DType): 'float32' | 'int32' | 'bool' {
  switch (dtype) {
    case 'float64':
    case 'float32':
    case 'float16':
    case 'bfloat16':
      return 'float32';
    case 'int64':
    case 'int32':
    case 'int8':
    case 'uint8':
      return 'int32';
    case 'bool':
      return 'bool';
  }
}

/** A scalar constant. */
export function scalar(value: number, dtype: DType = 'float32'): Value {
  return constant(scalarTensor(dtype, value));
}

interface BinaryRules {
  readonly name: string;
  readonly onnxType: string;
  readonly result?: DType;
  readonly tfjs: (tf: Tfjs, a: TfTensor, b: TfTensor) => TfTensor;
  /** d loss / da and d loss / db before they are summed back to the operands' shapes. */
  readonly da?: (dy: Value, a: Value, b: Value) => Value;
  readonly db?: (dy: Value, a: Value, b: Value) => Value;
}

/** An elementwise op of two operands that broadcast against each other by numpy's rule. */
function binary({ name, onnxType, result, tfjs, da, db }: BinaryRules): (a: Operand, b: Operand) => Value {
  const op = defineOp<readonly [a: Value, b: Value], undefined>({
    name,
    infer([a, b]) {
      if (a.dtype !== b.dtype)
        throw new RangeError(`${name}: operands of one dtype expected, got ${a.dtype} and ${b.dtype}`);
      return [{ dtype: result ?? a.dtype, shape: broadcastShapes(name, a.shape, b.shape) }];
    },
    ...(da &&
      db && {
        gradient: ({ inputs: [a, b], dy, wants }) => [
          wants[0] ? sumTo(da(dy, a, b), a.shape) : undefined,
          wants[1] ? sumTo(db(dy, a, b), b.shape) : undefined,
        ],
      }),
    onnx: ({ emit, names, outputNames }) => emit.node(onnxType, names, outputNames),
    tfjs: ({ tf, inputs: [a, b] }) => tfjs(tf, a, b),
  });
  return (a, b) => {
    const dtype = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32';
    const [x, y] = [a, b].map((operand) => (typeof operand === 'number' ? scalar(operand, dtype) : operand));
    if (!x || !y) throw new RangeError(`${name}: two operands expected`);
    return outputOf(op([x, y], undefined));
  };
}

/** a + b. */
export const add = binary({
  name: 'add',
  onnxType: 'Add',
  tfjs: (tf, a, b) => tf.add(a, b),
  da: (dy) => dy,
  db: (dy) => dy,
});

/** a - b. */
export const sub = binary({
  name: 'sub',
  onnxType: 'Sub',
  tfjs: (tf, a, b) => tf.sub(a, b),
  da: (dy) => dy,
  db: (dy) => neg(dy),
});

/** a * b. */
export const mul = binary({
  name: 'mul',
  onnxType: 'Mul',
  tfjs: (tf, a, b) => tf.mul(a, b),
  da: (dy, _, b) => mul(dy, b),
  db: (dy, a) => mul(dy, a),
});

/** a / b. */
export const div = binary({
  name: 'div',
  onnxType: 'Div',
  tfjs: (tf, a, b) => tf.div(a, b),
  da: (dy, _, b) => div(dy, b),
  db: (dy, a, b) => neg(div(mul(dy, a), mul(b, b))),
});

/** 1 where a > b as bool. */
export const greater = binary({
  name: 'greater',
  onnxType: 'Greater',
  result: 'bool',
  tfjs: (tf, a, b) => tf.greater(a, b),
});

/** 1 where a = b as bool. */
export const equal = binary({
  name: 'equal',
  onnxType: 'Equal',
  result: 'bool',
  tfjs: (tf, a, b) => tf.equal(a, b),
});

interface UnaryRules {
  readonly name: string;
  readonly onnxType: string;
  readonly tfjs: (tf: Tfjs, x: TfTensor) => TfTensor;
  /** d loss / dx from d loss / dy, x and y. */
  readonly dx?: (dy: Value, x: Value, y: Value) => Value;
}

function unary({ name, onnxType, tfjs, dx }: UnaryRules): (x: Value) => Value {
  const op = defineOp<readonly [x: Value], undefined>({
    name,
    infer: ([x]) => [x],
    ...(dx && { gradient: ({ inputs: [x], outputs: [y], dy }) => [y && dx(dy, x, y)] }),
    onnx: ({ emit, names, outputNames }) => emit.node(onnxType, names, outputNames),
    tfjs: ({ tf, inputs: [x] }) => tfjs(tf, x),
  });
  return (x) => outputOf(op([x], undefined));
}

/** -x. */
export const neg = unary({ name: 'neg', onnxType: 'Neg', tfjs: (tf, x) => tf.neg(x), dx: (dy) => neg(dy) });

/** e^x. */
export const exp = unary({ name: 'exp', onnxType: 'Exp', tfjs: (tf, x) => tf.exp(x), dx: (dy, _, y) => mul(dy, y) });

/** The square root of x. */
export const sqrt = unary({
  name: 'sqrt',
  onnxType: 'Sqrt',
  tfjs: (tf, x) => tf.sqrt(x),
  dx: (dy, _, y) => div(mul(dy, 0.5), y),
});

/** 1 / x. */
export const reciprocal = unary({
  name: 'reciprocal',
  onnxType: 'Reciprocal',
  tfjs: (tf, x) => tf.reciprocal(x),
  dx: (dy, _, y) => neg(mul(dy, mul(y, y))),
});

/** sin x. */
export const sin = unary({ name: 'sin', onnxType: 'Sin', tfjs: (tf, x) => tf.sin(x), dx: (dy, x) => mul(dy, cos(x)) });

/** cos x. */
export const cos = unary({
  name: 'cos',
  onnxType: 'Cos',
  tfjs: (tf, x) => tf.cos(x),
  dx: (dy, x) => neg(mul(dy, sin(x))),
});

/** The hyperbolic tangent. */
export const tanh = unary({
  name: 'tanh',
  onnxType: 'Tanh',
  tfjs: (tf, x) => tf.tanh(x),
  dx: (dy, _, y) => mul(dy, sub(1, mul(y, y))),
});

/** The error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x. */
export const erf = unary({
  name: 'erf',
  onnxType: 'Erf',
  tfjs: (tf, x) => tf.erf(x),
  dx: (dy, x) => mul(dy, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

/** 1 / (1 + e^-x). */
export const sigmoid = unary({
  name: 'sigmoid',
  onnxType: 'Sigmoid',
  tfjs: (tf, x) => tf.sigmoid(x),
  dx: (dy, _, y) => mul(dy, mul(y, sub(1, y))),
});

/** The largest whole number up to x. Its gradient is 0 everywhere it has one, so none is offered. */
export const floor = unary({ name: 'floor', onnxType: 'Floor', tfjs: (tf, x) => tf.floor(x) });

/** max(0, x). */
export const relu = unary({
  name: 'relu',
  onnxType: 'Relu',
  tfjs: (tf, x) => tf.relu(x),
  dx: (dy, x) => mul(dy, cast(greater(x, 0), x.dtype)),
});

const onnxTypes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** The number that ONNX's TensorProto.DataType gives a dtype. */
export function onnxType(dtype: DType): number {
  return onnxTypes[dtype];
}

const castOp = defineOp<readonly [x: Value], { readonly dtype: DType }>({
  name: 'cast',
  infer: ([x], { dtype }) => [{ dtype, shape: x.shape }],
  gradient: ({ inputs: [x], dy }) => [cast(dy, x.dtype)],
  onnx: ({ attributes: { dtype }, emit, names, outputNames }) =>
    emit.node('Cast', names, outputNames, { to: onnxType(dtype) }),
  tfjs: ({ tf, inputs: [x], attributes: { dtype } }) => tf.cast(x, tfjsType(dtype)),
});

/** `x` as another dtype; itself when it is that already. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : outputOf(castOp([x], { dtype }));
}

/**
 * What unpacks a frozen weight once more, so that the first result need not be kept until the backward pass: a model stored
 * in 16 bits would be in memory in 32. Anything else as it is.
 */
export function unpackAgain(x: Value): Value {
  return unpacksWeight(x.node) ? outputOf(x.node.withInputs(x.node.inputs), x.index) : x;
}

const clipOp = defineOp<readonly [x: Value], { readonly min: number; readonly max: number }>({
  name: 'clip',
  infer: ([x]) => [x],
  gradient: ({ inputs: [x], outputs: [y], dy }) => [y && mul(dy, cast(equal(x, y), x.dtype))],
  onnx({ inputs: [x], attributes: { min, max }, emit, names, outputNames }) {
    const bounds = [min, max].map((bound) => emit.constant(scalarTensor(x.dtype, bound)));
    emit.node('Clip', [...names, ...bounds], outputNames);
  },
  tfjs: ({ tf, inputs: [x], attributes: { min, max } }) => tf.clipByValue(x, min, max),
});

/** `x` limited to [min, max]. */
export function clip(x: Value, min: number, max: number): Value {
  return outputOf(clipOp([x], { min, max }));
}
