import { float32 } from '../tensor.ts';
import { defineOp, outputOf, type Value } from '../value.ts';
import { add, div, mul, sqrt, sub } from './elementwise.ts';
import { reduceMean, reduceSumSquare } from './reduce.ts';

const layerNormOp = defineOp<readonly [x: Value], { readonly eps: number }>({
  name: 'layerNorm',
  infer([x]) {
    const width = x.shape.at(-1);
    if (typeof width !== 'number')
      throw new RangeError(`layerNorm: the last axis must have a known size, not ${width}`);
    const statistics = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
    return [{ dtype: x.dtype, shape: x.shape }, statistics, statistics];
  },
  // dx = (dy - mean(dy) - y mean(dy y)) / std: y itself is the normalised input, since there is no scale.
  gradient({ outputs: [y, , inverseStd], dys: [dy] }) {
    if (!y || !inverseStd || !dy) throw new RangeError('layerNorm: only its first output has a gradient');
    const centred = sub(dy, reduceMean(dy, [-1]));
    return [mul(sub(centred, mul(y, reduceMean(mul(dy, y), [-1]))), inverseStd)];
  },
  onnx({ inputs: [x], attributes: { eps }, emit, names, outputNames }) {
    const width = x.shape.at(-1);
    const ones = emit.constant(float32([Number(width)], new Float32Array(Number(width)).fill(1)));
    emit.node('LayerNormalization', [...names, ones], outputNames, { axis: -1, epsilon: { float: eps } });
  },
  tfjs({ tf, inputs: [x], attributes: { eps } }) {
    const { mean, variance } = tf.moments(x, -1, true);
    const inverseStd = tf.rsqrt(tf.add(variance, eps));
    return [tf.mul(tf.sub(x, mean), inverseStd), mean, inverseStd];
  },
});

/** (x - mean) / sqrt(variance + eps) over the last axis, without scale and shift. */
export function layerNorm(x: Value, eps: number): Value {
  return outputOf(layerNormOp([x], { eps }));
}

/** x / sqrt(mean(x^2) + eps) over one axis (of known size), without scale. */
export function rmsNorm(x: Value, eps: number, axis = -1): Value {
  const size = x.shape.at(axis);
  if (typeof size !== 'number') throw new RangeError(`rmsNorm: axis ${axis} must have a known size, not ${size}`);
  return div(x, sqrt(add(mul(reduceSumSquare(x, [axis]), 1 / size), eps)));
}
