import { equalShapes } from '../dim.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { add, cast, erf, floor, greater, mul, sigmoid, sub, tanh } from './elementwise.ts';

const siluOp = defineOp<readonly [x: Value], undefined>({
  name: 'silu',
  infer: ([x]) => [x],
  // d silu / dx = s (1 + x (1 - s)) = s + y (1 - s), s = sigmoid(x).
  gradient({ inputs: [x], outputs: [y], dy }) {
    if (!y) return [undefined];
    const s = sigmoid(x);
    return [mul(dy, add(s, mul(y, sub(1, s))))];
  },
  onnx({ emit, names, outputNames }) {
    if (emit.dialect.contribOps) {
      // x sigmoid(alpha x) in one pass.
      emit.node('QuickGelu', names, outputNames, { alpha: { float: 1 } }, 'com.microsoft');
      return;
    }
    const s = emit.temporary();
    emit.node('Sigmoid', names, [s]);
    emit.node('Mul', [...names, s], outputNames);
  },
  tfjs: ({ tf, inputs: [x] }) => tf.mul(x, tf.sigmoid(x)),
});

/** x sigmoid(x), also called swish. */
export function silu(x: Value): Value {
  return outputOf(siluOp([x], undefined));
}

/** GELU: x/2 (1 + erf(x / sqrt(2))). onnxruntime makes one pass of it. */
export function gelu(x: Value): Value {
  return mul(mul(x, 0.5), add(1, erf(mul(x, Math.SQRT1_2))));
}

const rate = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

const geluTanhOp = defineOp<readonly [x: Value], undefined>({
  name: 'geluTanh',
  infer: ([x]) => [x],
  gradient({ inputs: [x], dy }) {
    const square = mul(x, x);
    const t = tanh(mul(x, add(rate, mul(square, rate * cubic))));
    const inner = add(rate, mul(square, 3 * rate * cubic));
    const slope = add(mul(0.5, add(1, t)), mul(mul(0.5, x), mul(sub(1, mul(t, t)), inner)));
    return [mul(dy, slope)];
  },
  onnx: ({ emit, names, outputNames }) => emit.node('Gelu', names, outputNames, { approximate: 'tanh' }),
  tfjs({ tf, inputs: [x] }) {
    const inner = tf.mul(x, tf.add(rate, tf.mul(tf.square(x), rate * cubic)));
    return tf.mul(tf.mul(x, 0.5), tf.add(1, tf.tanh(inner)));
  },
});

/** GELU by its tanh approximation: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
export function geluTanh(x: Value): Value {
  return outputOf(geluTanhOp([x], undefined));
}

const softmaxOp = defineOp<readonly [x: Value], undefined>({
  name: 'softmax',
  infer: ([x]) => [x],
  gradient({ outputs: [y], dy }) {
    return [y && softmaxGradient(dy, y)];
  },
  onnx: ({ emit, names, outputNames }) => emit.node('Softmax', names, outputNames, { axis: -1 }),
  tfjs: ({ tf, inputs: [x] }) => tf.softmax(x),
});

const softmaxGradientOp = defineOp<readonly [dy: Value, y: Value], undefined>({
  name: 'softmaxGradient',
  infer([dy, y]) {
    if (!equalShapes(dy.shape, y.shape)) throw new RangeError('softmaxGradient: dy and y of one shape expected');
    return [y];
  },
  onnx({ emit, names: [dy = '', y = ''], outputNames }) {
    const [product, sum, centred] = [emit.temporary(), emit.temporary(), emit.temporary()];
    emit.node('Mul', [dy, y], [product]);
    emit.node('ReduceSum', [product, emit.int64([-1])], [sum], { keepdims: 1 });
    emit.node('Sub', [dy, sum], [centred]);
    emit.node('Mul', [centred, y], outputNames);
  },
  tfjs({ tf, inputs: [dy, y] }) {
    return tf.mul(tf.sub(dy, tf.sum(tf.mul(dy, y), -1, true)), y);
  },
});

function softmaxGradient(dy: Value, y: Value): Value {
  return outputOf(softmaxGradientOp([dy, y], undefined));
}

/** e^x over its sum along the last axis. */
export function softmax(x: Value): Value {
  return outputOf(softmaxOp([x], undefined));
}

/**
 * Inverted dropout by a mask made of two fed vectors: element (i, j) of the last two axes is kept when the
 * fraction of rows[i] * columns[j] is at least `rate`. The vectors come from the seeded generator (1 to 2 and 1000 to
 * 2000), so a step needs N + D random numbers and not N x D, and is the same wherever it is computed.
 *
 * @param rows [N, 1] or [B, N, 1], @param columns [D]
 */
export function dropout(x: Value, rows: Value, columns: Value, probability: number): Value {
  if (probability === 0) return x;
  const product = mul(rows, columns);
  const kept = cast(greater(sub(product, floor(product)), probability), x.dtype);
  return mul(x, mul(kept, 1 / (1 - probability)));
}
