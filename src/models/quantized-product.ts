import { reshape } from '../graph/ops/broadcast.ts';
import { transpose } from '../graph/ops/movement.ts';
import { dynamicQuantize, type Quantized, quantizedMatMul } from '../graph/ops/quantized.ts';
import { withGradient } from '../graph/ops/with-gradient.ts';
import { type Value, weight } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { exactProduct, type Layout, type Product } from './projection.ts';

/** Names of a module's tensors among the quantised weights. */
export function quantizedNames(module: string): {
  /** int8 [in, out] and float32 [out]: for x W^T. */
  readonly forward: string;
  readonly forwardScales: string;
  /** int8 [out, in] and float32 [in]: for dy W. */
  readonly backward: string;
  readonly backwardScales: string;
} {
  return {
    forward: `${module}.weight.int8`,
    forwardScales: `${module}.weight.int8_scales`,
    backward: `${module}.weight.int8_backward`,
    backwardScales: `${module}.weight.int8_backward_scales`,
  };
}

/**
 * Products in whole numbers of 8 bits where `weights` has a module's kernel quantised, forward and for the gradient of
 * x; all others as they are. Onnxruntime's kernel wants tokens as rows.
 */
export function quantizedProduct(weights: Weights): Product {
  // q, k and v share what they multiply.
  const known = new Map<Value, Quantized>();
  const rowsOf = (x: Value, layout: Layout): Quantized => {
    let quantized = known.get(x);
    if (!quantized) {
      const { values, ...rest } = dynamicQuantize(x);
      // A quarter of the bytes to move, now that they are bytes.
      quantized = { values: layout === 'rows' ? values : swapped(values), ...rest };
      known.set(x, quantized);
    }
    return quantized;
  };

  return (projection) => {
    const { module, x, from, kernel, bias, to } = projection;
    const names = quantizedNames(module);
    if (!weights.has(names.forward)) return exactProduct(projection);
    const [out, inner] = kernel.shape.map(Number);
    if (out === undefined || inner === undefined) throw new RangeError(`quantizedProduct: ${module} has no matrix`);
    const matrix = { values: weight(names.forward, [inner, out], 'int8'), scales: weight(names.forwardScales, [out]) };
    const y = quantizedMatMul(rowsOf(x, from), matrix, bias && reshape(bias, [-1]));
    return withGradient(to === 'rows' ? y : swapped(y), x, (dy) => {
      const back = {
        values: weight(names.backward, [out, inner], 'int8'),
        scales: weight(names.backwardScales, [inner]),
      };
      const dx = quantizedMatMul(rowsOf(dy, to), back);
      return from === 'rows' ? dx : swapped(dx);
    });
  };
}

/** [B, N, C] -> [B, C, N] and back. */
function swapped(x: Value): Value {
  return transpose(x, [0, 2, 1]);
}
