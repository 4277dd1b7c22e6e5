import { dynamicQuantize, type Quantized, quantizedMatMul } from '../graph/ops/quantized.ts';
import { withGradient } from '../graph/ops/with-gradient.ts';
import { type Value, weight } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { exactProducts, type Layout, type Products, swapLayout } from './projection.ts';

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
 * x; all others exact. Onnxruntime's kernel takes tokens as rows and gives them so.
 */
export function quantizedProducts(weights: Weights): Products {
  const isQuantized = (module: string): boolean => weights.has(quantizedNames(module).forward);
  // q, k and v share what they multiply.
  const known = new Map<Value, Quantized>();
  const rowsOf = (x: Value, layout: Layout): Quantized => {
    let quantized = known.get(x);
    if (!quantized) {
      const { values, ...rest } = dynamicQuantize(x);
      // A quarter of the bytes to move, now that they are bytes.
      quantized = { values: layout === 'rows' ? values : swapLayout(values), ...rest };
      known.set(x, quantized);
    }
    return quantized;
  };

  return {
    layoutOf: (module, wanted) => (isQuantized(module) ? 'rows' : wanted),
    multiply(projection) {
      const { module, x, from, kernel, bias } = projection;
      if (!isQuantized(module)) return exactProducts.multiply(projection);
      const names = quantizedNames(module);
      const [out = 1, inner = 1] = kernel.shape.map(Number);
      const matrix = {
        values: weight(names.forward, [inner, out], 'int8'),
        scales: weight(names.forwardScales, [out]),
      };
      return withGradient(quantizedMatMul(rowsOf(x, from), matrix, bias), x, (dy) => {
        const back = {
          values: weight(names.backward, [out, inner], 'int8'),
          scales: weight(names.backwardScales, [inner]),
        };
        const dx = quantizedMatMul(rowsOf(dy, 'rows'), back);
        return from === 'rows' ? dx : swapLayout(dx);
      });
    },
  };
}
