import { dynamicQuantize, quantizedMatMul } from '../../../../../src/graph/ops/quantized.ts';
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
