import { defineOp, outputOf, type Value } from '../value.ts';

const withGradientOp = defineOp<readonly [y: Value, x: Value], { readonly gradient: (dy: Value) => Value }>({
  name: 'withGradient',
  infer: ([y]) => [y],
  gradient: ({ attributes: { gradient }, dy, wants }) => [undefined, wants[1] ? gradient(dy) : undefined],
  onnx: ({ emit, names: [y = ''], outputNames }) => emit.node('Identity', [y], outputNames),
  tfjs: ({ tf, inputs: [y] }) => tf.clone(y),
});

/**
 * y, a function of x whose gradient the caller gives: for steps that have none of use, such as rounding, which the
 * backward pass takes for what they stand for (arXiv 1308.3432).
 *
 * @param gradient d loss / dx from d loss / dy
 */
export function withGradient(y: Value, x: Value, gradient: (dy: Value) => Value): Value {
  return outputOf(withGradientOp([y, x], { gradient }));
}
