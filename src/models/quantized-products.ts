import { dynamicQuantize, type Quantized, quantizedMatMul } from '../graph/ops/quantized.ts';
import { withGradient } from '../graph/ops/with-gradient.ts';
import { type Value, weight } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { exactProducts, type Layout, type OutputPart, type Products, swapLayout } from './projection.ts';
import { weightParts } from './weights.ts';

/** The most channels of a part: some tensors of a part, of a thousand tokens, then stay in a processor's cache. */
const widestPart = 1000;

/** Convolutions of fewer channels, or of a number that this does not divide, are slow in onnxruntime. */
const channelBlock = 16;

/**
 * In how many equal parts the outputs of a module are quantised. What follows the feed-forward layer's inverted convolution
 * keeps its channels apart, so that it can go from step to step with some of them at a time: first halves of the gated
 * and then of the gating ones.
 */
export function quantizedParts(module: string, outFeatures: number): number {
  if (!module.endsWith('.ff.conv_inverted')) return 1;
  const hidden = outFeatures / 2;
  for (let count = 1; count <= hidden / channelBlock; count++) {
    if (hidden % (count * channelBlock) === 0 && hidden / count <= widestPart) return 2 * count;
  }
  return 2;
}

/** Names of a module's tensors, or of those of a part of its outputs, among the quantised weights. */
export function quantizedNames(
  module: string,
  part?: OutputPart,
): {
  /** int8 [in, out] and float32 [out]: for x W^T. */
  readonly forward: string;
  readonly forwardScales: string;
  /** int8 [out, in] and float32 [in]: for dy W. */
  readonly backward: string;
  readonly backwardScales: string;
} {
  const name = part && part.count > 1 ? `${module}.weight.${part.index}` : `${module}.weight`;
  return {
    forward: `${name}.int8`,
    forwardScales: `${name}.int8_scales`,
    backward: `${name}.int8_backward`,
    backwardScales: `${name}.int8_backward_scales`,
  };
}

/**
 * Products in whole numbers of 8 bits where `weights` has a module's kernel quantised, forward and for the gradient of
 * x; all others exact. Onnxruntime's kernel takes tokens as rows and gives them so.
 */
export function quantizedProducts(weights: Weights): Products {
  const first = (count: number): OutputPart => ({ index: 0, count });
  const isQuantized = (module: string): boolean =>
    [1, 2].some((count) => weights.has(quantizedNames(module, first(count)).forward));
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
    partsOf(module) {
      let count = 0;
      while (weights.has(quantizedNames(module, { index: count, count: 2 }).forward)) count++;
      return Math.max(1, count);
    },
    multiply(projection) {
      const { module, x, from, kernel, bias, part = first(1) } = projection;
      if (!isQuantized(module)) return exactProducts.multiply(projection);
      const names = quantizedNames(module, part);
      const [outputs = 1, inner = 1] = kernel.shape.map(Number);
      const out = outputs / part.count;
      const matrix = {
        values: weight(names.forward, [inner, out], 'int8'),
        scales: weight(names.forwardScales, [out]),
      };
      const offset = bias && weightParts(bias, part.count)[part.index];
      return withGradient(quantizedMatMul(rowsOf(x, from), matrix, offset), x, (dy) => {
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
