import { add, mul } from '../../../../../src/graph/ops/elementwise.ts';
import { stopGradient } from '../../../../../src/graph/ops/stop-gradient.ts';
import { opCase, operand, result } from '../../../../op-cases.ts';

/** Cases of src/graph/ops/stop-gradient.ts; what it does to gradients is in stop-gradient.test.ts. */
export const stopGradientCases = [
  opCase(
    'stopGradient',
    { x: operand([2], [1, -2], { differentiable: false }) },
    ({ x }) => stopGradient(x),
    result([2], [1, -2]),
  ),
  opCase(
    'stopGradient of a part',
    { x: operand([2], [1, -2]), y: operand([2], [3, 5], { differentiable: false }) },
    ({ x, y }) => add(x, stopGradient(mul(y, y))),
    result([2], [10, 23]),
  ),
];
