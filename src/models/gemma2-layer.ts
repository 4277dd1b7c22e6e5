import { mul } from '../graph/ops/elementwise.ts';
import { type QuantizedRows, quantizedMatMul, quantizeRows } from '../graph/ops/quantized.ts';
import { type Value, weight } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { linear } from './linear.ts';
import { quantizedNames } from './quantized-products.ts';
import { type WeightReader, weightReader } from './weights.ts';

/** The weights of one of Gemma-2's layers, as its graphs take them. */
export interface Gemma2Layer {
  /** Weights by their names below `layers.N.`. */
  readonly read: WeightReader;
  /** x W^T with the kernel [out, inner] of the module of that name. x [N, inner] -> [N, out] */
  readonly multiply: (x: Value, module: string, shape: readonly [out: number, inner: number]) => Value;
}

/**
 * The layer whose names begin with `prefix`, `layers.N.`. Products are in 8 bits where its kernels are there so: a scale for
 * each output channel, and one for each token, found anew (compressed-tensors calls it W8A8 with dynamic scales per token). A
 * token's numbers then depend on nothing but itself.
 */
export function gemma2Layer(weights: Weights, prefix: string): Gemma2Layer {
  const read = weightReader(weights, prefix);
  // What several products multiply is quantised once.
  const known = new Map<Value, QuantizedRows>();
  const rowsOf = (x: Value): QuantizedRows => {
    const rows = known.get(x) ?? quantizeRows(x);
    known.set(x, rows);
    return rows;
  };
  return {
    read,
    multiply(x, module, [out, inner]) {
      const names = quantizedNames(module);
      if (!weights.has(prefix + names.forward)) return linear(x, read(`${module}.weight`, [out, inner]));
      const { parts, largest } = rowsOf(x);
      const scales = weight(names.forwardScales, [out]);
      return mul(quantizedMatMul(parts, { values: weight(names.forward, [inner, out], 'int8'), scales }), largest);
    },
  };
}
