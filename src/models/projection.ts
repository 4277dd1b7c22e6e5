import { reshape } from '../graph/ops/broadcast.ts';
import { add } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { transpose } from '../graph/ops/movement.ts';
import type { Value } from '../graph/value.ts';

/**
 * Where a value keeps its channels: 'rows' is [B, N, C], a token a row; 'columns' is [B, C, N], a token a column,
 * which is also [B, C, H, W] or [B, heads, C / heads, N] without moving anything. A product can turn one into the
 * other at no cost, so that the model needs no transposes.
 */
export type Layout = 'rows' | 'columns';

/** A linear map over channels. */
export interface Projection {
  /** Its name in the checkpoint, such as transformer_blocks.0.attn1.to_q. */
  readonly module: string;
  readonly x: Value;
  readonly from: Layout;
  /** [out, in] */
  readonly kernel: Value;
  /** The bias, shaped to broadcast over y. */
  readonly bias?: Value;
  /** x W^T + bias */
  readonly y: Value;
  readonly to: Layout;
  /** The modules that multiply the same x, this one among them. @default this one alone */
  readonly siblings?: readonly string[];
  /** Which of the parts of its outputs y is, where `Products.partsOf` has them computed one by one. @default all */
  readonly part?: OutputPart;
}

/** One of the equal parts that a module's outputs are computed in. */
export interface OutputPart {
  readonly index: number;
  readonly count: number;
}

/** What an adapter makes of a projection's result: y itself where it adapts nothing. */
export type Adapt = (projection: Projection) => Value;

/** What computes projections. */
export interface Products {
  /** The layout in which a module's result is to be had: the one that is wanted, or one that is cheaper. */
  readonly layoutOf: (module: string, wanted: Layout) => Layout;
  /** In how many equal parts a module's outputs are to be computed where what follows can take them so. */
  readonly partsOf: (module: string) => number;
  /** A projection's result in the layout that `layoutOf` gave. */
  readonly multiply: (projection: Omit<Projection, 'y'>) => Value;
}

/** x W^T over the channels. x [B, N, in] or [B, in, N], kernel [out, in] -> [B, N, out] or [B, out, N]. */
export function project(x: Value, from: Layout, kernel: Value, to: Layout): Value {
  if (to === 'rows') return matMul(x, kernel, { transA: from === 'columns', transB: true });
  return matMul(kernel, x, { transB: from === 'rows' });
}

/** A bias [C] shaped to broadcast along the channels of a layout. */
export function biasAlong(bias: Value, layout: Layout): Value {
  return layout === 'rows' ? bias : reshape(bias, [-1, 1]);
}

/** x W^T + bias in float32, for which one layout is as good as the other. */
export const exactProducts: Products = {
  layoutOf: (_, wanted) => wanted,
  partsOf: () => 1,
  multiply({ x, from, kernel, bias, to }) {
    const product = project(x, from, kernel, to);
    return bias ? add(product, bias) : product;
  },
};

/** x in the other layout: [B, N, C] -> [B, C, N] and back. */
export function swapLayout(x: Value): Value {
  return transpose(x, [0, 2, 1]);
}
