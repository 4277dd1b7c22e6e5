import type { Engine } from '../engine/engine.ts';
import { createGraph } from '../graph/graph.ts';
import { dynamicQuantize, quantizedMatMul } from '../graph/ops/quantized.ts';
import { float32, tensor, toFloat32 } from '../graph/tensor.ts';
import { constant, input } from '../graph/value.ts';

/**
 * The largest size that quantised weights may have for this engine's products to be right, found by trying: processors
 * without VNNI add two products of 8 bits in 16, which 2 x 255 x 127 overflows and 2 x 255 x 64 does not.
 */
export async function quantizedLimit(engine: Engine): Promise<127 | 64> {
  const [rows, inner, columns] = [32, 64, 64]; // large enough for the kernels that real products take
  const x = input('x', [rows, inner]);
  const values = constant(tensor('int8', [inner, columns], new Int8Array(inner * columns).fill(127)));
  const scales = constant(float32([columns], new Float32Array(columns).fill(1)));
  const product = quantizedMatMul(dynamicQuantize(x), { values, scales });
  const executable = await engine.compile(createGraph({ product }), new Map());
  try {
    const result = await executable.run({ x: float32([rows, inner], new Float32Array(rows * inner).fill(1)) });
    const isRight = (value: number): boolean => Math.abs(value / (127 * inner) - 1) < 1e-3;
    return result.product && toFloat32(result.product).every(isRight) ? 127 : 64;
  } finally {
    await executable.dispose();
  }
}
