import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { reduceMean, reduceSumSquare } from '../../../../../src/graph/ops/reduce.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

/** Cases of src/graph/ops/reduce.ts. */
export const reduceCases = [
  opCase(
    'reduceMean of all',
    { x: operand([2, 3], range(6)) },
    ({ x }) => reduceMean(x, undefined, false),
    result([], [2.5]),
  ),
  opCase('reduceMean of a scalar', { x: operand([], [3]) }, ({ x }) => mul(reduceMean(x), 2), result([], [6])),
  opCase(
    'reduceMean of no axes',
    { x: operand([2], [3, 5]) },
    ({ x }) => mul(reduceMean(x, []), 2),
    result([2], [6, 10]),
  ),
  opCase(
    'reduceMean of rows',
    { x: operand([2, 3], range(6)) },
    ({ x }) => reduceMean(x, [-1]),
    result([2, 1], [1, 4]),
  ),
  opCase(
    'reduceMean of symbols',
    { x: operand(['B', 2, 'T'], range(12)) },
    ({ x }) => reduceMean(x, [0, 2], false),
    result([2], [4, 7]),
  ),
  opCase(
    'reduceMean of a symbol and a number',
    { x: operand(['B', 2, 'T'], range(12)) },
    ({ x }) => reduceMean(x, [1, 2]),
    result(['B', 1, 1], [2.5, 8.5]),
  ),
  opCase(
    'reduceSumSquare',
    { x: operand([2, 3], range(6)) },
    ({ x }) => reduceSumSquare(x, [1]),
    result([2, 1], [5, 50]),
  ),
  opCase(
    'reduceSumSquare of an axis in the middle',
    { x: operand(['B', 2, 'H', 2], range(16)) },
    ({ x }) => reduceSumSquare(x, [1]),
    result(['B', 1, 'H', 2], [16, 26, 40, 58, 208, 250, 296, 346]),
  ),
  opCase(
    'reduceSumSquare of no axes',
    { x: operand([2], [3, 5]) },
    ({ x }) => mul(reduceSumSquare(x, []), 1),
    result([2], [9, 25]),
  ),
  opCase(
    'reduceSumSquare of a symbol',
    { x: operand(['B', 2], range(4)) },
    ({ x }) => reduceSumSquare(x, [0]),
    result([1, 2], [4, 10]),
  ),
];
