import { expand, reduceSum, reshape, sizeOf, sumTo } from '../../../../../src/graph/ops/broadcast.ts';
import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

// B = 2, H = 2, W = 3, N = 4, T = 3.

/** Cases of src/graph/ops/broadcast.ts. */
export const broadcastCases = [
  opCase('reshape', { x: operand([2, 3], range(6)) }, ({ x }) => reshape(x, [3, 2]), result([3, 2], range(6))),
  opCase('reshape to a scalar', { x: operand([1, 1], [7]) }, ({ x }) => reshape(x, []), result([], [7])),
  opCase(
    'reshape with -1',
    { x: operand(['B', 6], range(12)) },
    ({ x }) => reshape(x, ['B', 2, -1]),
    result(['B', 2, 3], range(12)),
  ),
  opCase(
    'reshape that keeps one symbol',
    { x: operand(['B', 'N', 2], range(16)) },
    ({ x }) => reshape(x, ['B', 'N', 1, 2]),
    result(['B', 'N', 1, 2], range(16)),
  ),
  opCase(
    'reshape that moves symbols',
    { x: operand(['B', 'H', 'W'], range(12)) },
    ({ x }) => reshape(x, [1, 'B', 'H', 'W']),
    result([1, 'B', 'H', 'W'], range(12)),
  ),
  opCase(
    'reshape that merges symbols',
    { x: operand(['B', 2, 'H', 'W'], range(24)) },
    ({ x }) => reshape(x, ['B', 2, 'H*W']),
    result(['B', 2, 'H*W'], range(24)),
  ),
  opCase(
    'reshape that parts symbols',
    { x: operand(['B', 'W*H'], range(12)), like: operand(['H', 'W'], range(6)) },
    ({ x, like }) => [reshape(x, ['B', 'H', 'W']), like],
    result(['B', 'H', 'W'], range(12)),
    result(['H', 'W'], range(6)),
  ),
  opCase(
    'reshape that parts multiples',
    { x: operand(['B', '2*H', '3*W'], range(72)) },
    ({ x }) => reshape(x, ['B', 'H', 2, 'W', 3]),
    result(['B', 'H', 2, 'W', 3], range(72)),
  ),
  opCase('expand', { x: operand([2, 1], [1, 2]) }, ({ x }) => expand(x, [2, 3]), result([2, 3], [1, 1, 1, 2, 2, 2])),
  opCase(
    'expand by leading axes',
    { x: operand([2], [1, 2]) },
    ({ x }) => expand(x, [3, 2]),
    result([3, 2], [1, 2, 1, 2, 1, 2]),
  ),
  opCase(
    'expand to symbols',
    { x: operand(['B', 1, 2], [1, 2, 3, 4]), like: operand(['N'], range(4)) },
    ({ x, like }) => [expand(x, ['B', 'N', 2]), like],
    result(['B', 'N', 2], [1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4]),
    result(['N'], range(4)),
  ),
  opCase(
    'expand to a product of symbols',
    { x: operand([1], [5]), like: operand(['H', 'W'], range(6)) },
    ({ x, like }) => [expand(x, ['W*H']), like],
    result(['H*W'], [5, 5, 5, 5, 5, 5]),
    result(['H', 'W'], range(6)),
  ),
  opCase(
    'reduceSum of all',
    { x: operand([2, 3], range(6)) },
    ({ x }) => reduceSum(x, [0, 1], false),
    result([], [15]),
  ),
  opCase('reduceSum of rows', { x: operand([2, 3], range(6)) }, ({ x }) => reduceSum(x, [-1]), result([2, 1], [3, 12])),
  opCase(
    'reduceSum of columns',
    { x: operand([2, 3], range(6)) },
    ({ x }) => reduceSum(x, [0], false),
    result([3], [3, 5, 7]),
  ),
  opCase(
    'reduceSum of symbols',
    { x: operand(['B', 2, 'T'], range(12)) },
    ({ x }) => reduceSum(x, [0, 2], false),
    result([2], [24, 42]),
  ),
  opCase('reduceSum of no axes', { x: operand([2], [1, 2]) }, ({ x }) => mul(reduceSum(x, []), 1), result([2], [1, 2])),
  opCase(
    'reduceSum of one element',
    { x: operand([2, 1], [1, 2]) },
    ({ x }) => reduceSum(x, [1], false),
    result([2], [1, 2]),
  ),
  opCase('sumTo', { x: operand([2, 2, 3], range(12)) }, ({ x }) => sumTo(x, [2, 1]), result([2, 1], [24, 42])),
  opCase('sumTo a scalar', { x: operand(['B', 2], range(4)) }, ({ x }) => sumTo(x, []), result([], [6])),
  opCase(
    'sizeOf',
    { x: operand(['B', 'W'], range(6)) },
    ({ x }) => mul(x, sizeOf('B*W')),
    result(['B', 'W'], [0, 6, 12, 18, 24, 30]),
  ),
];
