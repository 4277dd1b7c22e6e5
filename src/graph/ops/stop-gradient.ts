import { defineOp, outputOf, type Value } from '../value.ts';

const stopGradientOp = defineOp<readonly [x: Value], undefined>({
  name: 'stopGradient',
  infer: ([x]) => [x],
  gradient: () => [undefined],
  onnx: ({ emit, names, outputNames }) => emit.node('Identity', names, outputNames),
  tfjs: ({ tf, inputs: [x] }) => tf.clone(x),
});

/** x, which the backward pass takes for a constant. */
export function stopGradient(x: Value): Value {
  return outputOf(stopGradientOp([x], undefined));
}
