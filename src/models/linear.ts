import { add } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import type { Value } from '../graph/value.ts';

/**
 * x W^T + bias. x [.., in], kernel [out, in] as checkpoints store it, bias [out] -> [.., out].
 */
export function linear(x: Value, kernel: Value, bias?: Value): Value {
  const y = matMul(x, kernel, { transB: true });
  return bias ? add(y, bias) : y;
}
