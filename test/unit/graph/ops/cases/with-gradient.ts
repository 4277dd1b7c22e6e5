import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { withGradient } from '../../../../../src/graph/ops/with-gradient.ts';
import { opCase, operand, result } from '../../../../op-cases.ts';

/** Cases of src/graph/ops/with-gradient.ts. */
export const withGradientCases = [
  opCase(
    'withGradient, told the true one',
    { x: operand([3], [1, 2, -3]) },
    ({ x }) => withGradient(mul(x, x), x, (dy) => mul(mul(dy, x), 2)),
    result([3], [1, 4, 9]),
  ),
];
