import { dynamicQuantize, quantizedMatMul, quantizeRows } from '../../../../../src/graph/ops/quantized.ts';
import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { float32, tensor } from '../../../../../src/graph/tensor.ts';
import { constant } from '../../../../../src/graph/value.ts';
import { opCase, operand, result } from '../../../../op-cases.ts';

const matrix = {
  values: constant(tensor('int8', [2, 3], Int8Array.of(1, 2, -3, 4, -127, 6))),
  scales: constant(float32([3], [1, 0.5, 2])),
};

/** Cases of src/graph/ops/quantized.ts; a scale is (largest - least) / 255. */
export const quantizedCases = [
  opCase(
    'dynamicQuantize, least to largest',
    { x: operand([2, 2], [-55, 200, 0, 10], { differentiable: false }) },
    ({ x }) => {
      const { values, scale, zero } = dynamicQuantize(x);
      return [values, scale, zero];
    },
    result([2, 2], [0, 255, 55, 65]),
    result([], [1]),
    result([], [55]),
  ),
  opCase(
    'dynamicQuantize, 0 is always in the range',
    { x: operand([3], [51, 102, 255], { differentiable: false }) },
    ({ x }) => dynamicQuantize(x).values,
    result([3], [51, 102, 255]),
  ),
  opCase(
    'quantizeRows, by the largest of each, and zeros',
    { x: operand(['B', 2, 3], [-127, 50, 0, 0, 0, 0, 254, 20, -12, 1, -1, 0.504], { differentiable: false }) },
    ({ x }) => {
      const { parts, largest } = quantizeRows(x);
      return [parts.values, largest];
    },
    result(['B', 2, 3], [1, 178, 128, 128, 128, 128, 255, 138, 122, 255, 1, 192]),
    result(['B', 2, 1], [127, 1e-30, 254, 1]),
  ),
  opCase(
    'quantizedMatMul of rows',
    { x: operand([2, 2], [-127, 50, 0, 127], { differentiable: false }) },
    ({ x }) => {
      const { parts, largest } = quantizeRows(x);
      return mul(quantizedMatMul(parts, matrix), largest);
    },
    result([2, 3], [73, -3302, 1362, 508, -8064.5, 1524]),
  ),
  opCase(
    'quantizedMatMul',
    { x: operand(['B', 2, 2], [-55, 200, 0, 10, 1, 0, 0, 1], { differentiable: false }) },
    ({ x }) => quantizedMatMul(dynamicQuantize(x), matrix),
    result(['B', 2, 3], [745, -12755, 2730, 40, -635, 120, 1, 1, -6, 4, -63.5, 12]),
  ),
  opCase(
    'quantizedMatMul, bias',
    {
      x: operand([2, 2], [-55, 200, 0, 10], { differentiable: false }),
      bias: operand([3], [1, 10, 100], { differentiable: false }),
    },
    ({ x, bias }) => quantizedMatMul(dynamicQuantize(x), matrix, bias),
    result([2, 3], [746, -12745, 2830, 41, -625, 220]),
  ),
];
