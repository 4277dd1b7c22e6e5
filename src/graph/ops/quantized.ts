import { formatShape } from '../dim.ts';
import { float32, tensor } from '../tensor.ts';
import { constant, defineOp, outputOf, type Value } from '../value.ts';

/** A value in 8 bits: x = scale (values - zero). */
export interface Quantized {
  /** uint8, of x's shape. */
  readonly values: Value;
  /** float32 [] */
  readonly scale: Value;
  /** uint8 [] */
  readonly zero: Value;
}

const dynamicQuantizeOp = defineOp<readonly [x: Value], undefined>({
  name: 'dynamicQuantize',
  infer: ([x]) => [
    { dtype: 'uint8', shape: x.shape },
    { dtype: 'float32', shape: [] },
    { dtype: 'uint8', shape: [] },
  ],
  onnx: ({ emit, names, outputNames }) => emit.node('DynamicQuantizeLinear', names, outputNames),
  tfjs({ tf, inputs: [x] }) {
    const [low, high] = [tf.minimum(tf.min(x), 0), tf.maximum(tf.max(x), 0)];
    const scale = tf.div(tf.sub(high, low), 255);
    const zero = tf.clipByValue(tf.round(tf.div(tf.neg(low), scale)), 0, 255);
    const values = tf.clipByValue(tf.add(tf.round(tf.div(x, scale)), zero), 0, 255);
    return [tf.cast(values, 'int32'), scale, tf.cast(zero, 'int32')];
  },
});

/** x in 256 even steps from its least to its largest value, 0 among them (ONNX's DynamicQuantizeLinear). */
export function dynamicQuantize(x: Value): Quantized {
  const node = dynamicQuantizeOp([x], undefined);
  return { values: outputOf(node), scale: outputOf(node, 1), zero: outputOf(node, 2) };
}

const rowSteps = 127;
const rowZero = 128;

// Above 0, so that a row of zeros stays one.
const leastScale = 1e-30;

const quantizeRowsOp = defineOp<readonly [x: Value], undefined>({
  name: 'quantizeRows',
  infer: ([x]) => [
    { dtype: 'uint8', shape: x.shape },
    { dtype: 'float32', shape: [...x.shape.slice(0, -1), 1] },
  ],
  onnx({ emit, names: [x = ''], outputNames: [values = '', largest = ''] }) {
    const [sizes, most, parts] = [emit.temporary(), emit.temporary(), emit.temporary()];
    emit.node('Abs', [x], [sizes]);
    emit.node('ReduceMax', [sizes, emit.int64([-1])], [most], { keepdims: 1 });
    emit.node('Max', [most, emit.constant(float32([], [leastScale]))], [largest]);
    emit.node('Div', [x, largest], [parts]);
    const [step, zero] = [float32([], [1 / rowSteps]), tensor('uint8', [], Uint8Array.of(rowZero))];
    emit.node('QuantizeLinear', [parts, emit.constant(step), emit.constant(zero)], [values]);
  },
  tfjs({ tf, inputs: [x] }) {
    const largest = tf.maximum(tf.max(tf.abs(x), -1, true), leastScale);
    const values = tf.add(tf.round(tf.mul(tf.div(x, largest), rowSteps)), rowZero);
    return [tf.cast(values, 'int32'), largest];
  },
});

/** Rows in 8 bits, each by a factor of its own, so that no row's numbers depend on another row. */
export interface QuantizedRows {
  /** Each row over its largest size. */
  readonly parts: Quantized;
  /** float32 [.., 1]: the largest size of a number in each row, by which `parts`, or what is made of them, is multiplied. */
  readonly largest: Value;
}

/** x [.., K] in 255 even steps from -1 to 1 times the row's largest size. */
export function quantizeRows(x: Value): QuantizedRows {
  const node = quantizeRowsOp([x], undefined);
  const scale = constant(float32([], [1 / rowSteps]));
  const zero = constant(tensor('uint8', [], Uint8Array.of(rowZero)));
  return { parts: { values: outputOf(node), scale, zero }, largest: outputOf(node, 1) };
}

/** A frozen matrix in 8 bits, a scale for each of its columns. */
export interface QuantizedMatrix {
  /** int8 [K, N] */
  readonly values: Value;
  /** float32 [N] */
  readonly scales: Value;
}

type Operands = readonly [x: Value, scale: Value, zero: Value, w: Value, scales: Value, bias?: Value];

const quantizedMatMulOp = defineOp<Operands, undefined>({
  name: 'quantizedMatMul',
  infer([x, , , w, scales, bias]) {
    const [k, n] = w.shape;
    const fits = w.shape.length === 2 && x.shape.at(-1) === k && scales.shape.join() === `${n}`;
    if (!fits || (bias && bias.shape.join() !== `${n}`)) {
      throw new RangeError(
        `quantizedMatMul: ${formatShape(x.shape)} times ${formatShape(w.shape)} with scales ${formatShape(scales.shape)}${bias ? ` and bias ${formatShape(bias.shape)}` : ''}: sizes differ`,
      );
    }
    if (x.dtype !== 'uint8' || w.dtype !== 'int8')
      throw new RangeError(`quantizedMatMul: uint8 times int8 expected, got ${x.dtype} times ${w.dtype}`);
    return [{ dtype: 'float32', shape: [...x.shape.slice(0, -1), n ?? 1] }];
  },
  onnx({ emit, names: [x = '', scale = '', zero = '', w = '', scales = '', bias], outputNames }) {
    if (emit.dialect.contribOps) {
      const inputs = [x, w, scale, scales, zero, '', ...(bias === undefined ? [] : [bias])];
      emit.node('MatMulIntegerToFloat', inputs, outputNames, {}, 'com.microsoft');
      return;
    }
    const [sum, float, factor] = [emit.temporary(), emit.temporary(), emit.temporary()];
    emit.node('MatMulInteger', [x, w, zero], [sum]);
    emit.node('Cast', [sum], [float], { to: 1 });
    emit.node('Mul', [scale, scales], [factor]);
    if (bias === undefined) {
      emit.node('Mul', [float, factor], outputNames);
    } else {
      const product = emit.temporary();
      emit.node('Mul', [float, factor], [product]);
      emit.node('Add', [product, bias], outputNames);
    }
  },
  tfjs({ tf, inputs: [x, scale, zero, w, scales, bias] }) {
    const rows = tf.reshape(tf.sub(x, zero), [-1, x.shape.at(-1) ?? 1]);
    const product = tf.matMul(tf.cast(rows, 'float32'), tf.cast(w, 'float32'));
    const y = tf.reshape(tf.mul(product, tf.mul(scale, scales)), [...x.shape.slice(0, -1), w.shape[1] ?? 1]);
    return bias ? tf.add(y, bias) : y;
  },
});

/** x w + bias, multiplied in whole numbers. x [.., K], w [K, N], bias [N] -> float32 [.., N]. No gradient. */
export function quantizedMatMul(x: Quantized, { values, scales }: QuantizedMatrix, bias?: Value): Value {
  const operands = [x.values, x.scale, x.zero, values, scales] as const;
  return outputOf(quantizedMatMulOp(bias ? [...operands, bias] : operands, undefined));
}
