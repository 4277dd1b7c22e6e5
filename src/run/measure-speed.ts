import type { Engine } from '../engine/engine.ts';
import { createGraph } from '../graph/graph.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { float32, toFloat32 } from '../graph/tensor.ts';
import { input, weight } from '../graph/value.ts';

/** Rows, columns and inner side of the matrices that are multiplied. */
const side = 1024;

/** Milliseconds after which a slow engine is timed no further. */
const longest = 3000;

/** What an engine gave when it was tried. */
export interface MeasuredSpeed {
  /** 1e9 multiplications and additions a second, in float32. */
  readonly gigaflops: number;
  /** The largest difference from the right product, relative to it. */
  readonly error: number;
}

/**
 * Multiplies two 1024 x 1024 matrices a few times and takes the fastest: one of them a weight, as in a training step.
 * It takes a tenth of a second on two cores, and with it comes the way of operands and results to a GPU and back.
 * @param runs runs that are timed, after one that is not
 * @param products how many products a run is made of, each of the one before with the weight
 */
export async function measureSpeed(engine: Engine, runs = 5, products = 1): Promise<MeasuredSpeed> {
  // x is 1 / (1 + column % 3), w is (column % 5 + 1) / side: the product can be had without another matrix product.
  const x = new Float32Array(side * side).map((_, i) => 1 / (1 + ((i % side) % 3)));
  const w = new Float32Array(side * side).map((_, i) => (((i % side) % 5) + 1) / side);
  const sumOfRow = (matrix: Float32Array): number => matrix.subarray(0, side).reduce((sum, value) => sum + value, 0);
  // A row of x times w is the sum of that row times w's row, and w's rows are all the same.
  const factor = sumOfRow(x) * sumOfRow(w) ** (products - 1);
  let product = input('x', [side, side]);
  for (let i = 0; i < products; i++) product = matMul(product, weight('w', [side, side], 'float32'));
  const graph = createGraph({ product });
  const executable = await engine.compile(graph, new Map([['w', float32([side, side], w)]]));
  try {
    let fastest = Number.POSITIVE_INFINITY;
    let values: Float32Array = new Float32Array();
    const begin = performance.now();
    for (let i = 0; i <= runs; i++) {
      const start = performance.now();
      const { product: result } = await executable.run({ x: float32([side, side], x) });
      if (i > 0) fastest = Math.min(fastest, performance.now() - start);
      if (result) values = toFloat32(result);
      if (i > 0 && performance.now() - begin > longest) break;
    }
    let error = values.length === side * side ? 0 : Number.NaN;
    for (let j = 0; j < values.length; j++) {
      const expected = factor * (w[j % side] ?? Number.NaN);
      error = Math.max(error, Math.abs((values[j] ?? Number.NaN) - expected) / expected);
    }
    return { gigaflops: (2 * products * side ** 3) / (fastest * 1e6), error };
  } finally {
    await executable.dispose();
  }
}
