import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import {
  concat,
  pad,
  repeatInterleave,
  reverse,
  slice,
  split,
  transpose,
} from '../../../../../src/graph/ops/movement.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

// B = 2, H = 2, W = 3, N = 4, T = 3.
const x = operand([2, 3], [1, 2, 3, 4, 5, 6]);

/** Cases of src/graph/ops/movement.ts. */
export const movementCases = [
  opCase('transpose', { x }, ({ x }) => transpose(x, [1, 0]), result([3, 2], [1, 4, 2, 5, 3, 6])),
  opCase(
    'transpose by a cycle',
    { x: operand([2, 1, 3], range(6)) },
    ({ x }) => transpose(x, [2, 0, 1]),
    result([3, 2, 1], [0, 3, 1, 4, 2, 5]),
  ),
  opCase(
    'transpose of symbols',
    { x: operand(['B', 'T', 1, 2], range(12)) },
    ({ x }) => transpose(x, [0, 3, 2, 1]),
    result(['B', 2, 1, 'T'], [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]),
  ),
  opCase('slice of columns', { x }, ({ x }) => slice(x, 1, 1, 3), result([2, 2], [2, 3, 5, 6])),
  opCase('slice of the last axis but one', { x }, ({ x }) => slice(x, -2, 0, 1), result([1, 3], [1, 2, 3])),
  opCase('slice of all', { x }, ({ x }) => mul(slice(x, 0, 0, 2), 1), result([2, 3], [1, 2, 3, 4, 5, 6])),
  opCase(
    'slice to a symbol',
    { x: operand(['B', '2*T'], range(12)), like: operand(['T'], range(3)) },
    ({ x, like }) => [slice(x, 1, 0, 'T'), like],
    result(['B', 'T'], [0, 1, 2, 6, 7, 8]),
    result(['T'], range(3)),
  ),
  opCase(
    'slice from a symbol',
    { x: operand(['B', 'T+1'], range(8)) },
    ({ x }) => slice(x, 1, 'T', 'T+1'),
    result(['B', 1], [3, 7]),
  ),
  opCase('pad', { x: operand([1, 2], [1, 2]) }, ({ x }) => pad(x, 1, 1, 2), result([1, 5], [0, 1, 2, 0, 0])),
  opCase('pad before rows', { x: operand([1, 2], [1, 2]) }, ({ x }) => pad(x, 0, 1, 0), result([2, 2], [0, 0, 1, 2])),
  opCase(
    'pad by symbols',
    { x: operand(['H', 2], [1, 2, 3, 4]), like: operand(['T'], range(3)) },
    ({ x, like }) => [pad(x, 0, 1, 'T'), like],
    result(['H+T+1', 2], [0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0]),
    result(['T'], range(3)),
  ),
  opCase(
    'concat of rows',
    { a: operand([1, 2], [1, 2]), b: operand([2, 2], [3, 4, 5, 6]) },
    ({ a, b }) => concat([a, b], 0),
    result([3, 2], [1, 2, 3, 4, 5, 6]),
  ),
  opCase(
    'concat of columns',
    { a: operand([2, 1], [1, 2]), b: operand([2, 2], [3, 4, 5, 6]) },
    ({ a, b }) => concat([a, b, a], -1),
    result([2, 4], [1, 3, 4, 1, 2, 5, 6, 2]),
  ),
  opCase(
    'concat of symbols',
    { a: operand(['B', 'H'], [1, 2, 3, 4]), b: operand(['B', 'T'], range(6)) },
    ({ a, b }) => concat([a, b], 1),
    result(['B', 'H+T'], [1, 2, 0, 1, 2, 3, 4, 3, 4, 5]),
  ),
  opCase('split', { x }, ({ x }) => split(x, 1, [1, 2]), result([2, 1], [1, 4]), result([2, 2], [2, 3, 5, 6])),
  opCase(
    'split, one part of it used',
    { x: operand(['B', 3], range(6)) },
    ({ x }) => split(x, -1, [1, 1, 1]).slice(1, 2),
    result(['B', 1], [1, 4]),
  ),
  opCase('reverse', { x }, ({ x }) => reverse(x, [1]), result([2, 3], [3, 2, 1, 6, 5, 4])),
  opCase('reverse of two axes', { x }, ({ x }) => reverse(x, [0, -1]), result([2, 3], [6, 5, 4, 3, 2, 1])),
  opCase(
    'reverse of a symbol',
    { x: operand(['N'], range(4)) },
    ({ x }) => reverse(x, [0]),
    result(['N'], [3, 2, 1, 0]),
  ),
  opCase(
    'repeatInterleave',
    { x },
    ({ x }) => repeatInterleave(x, 1, 2),
    result([2, 6], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]),
  ),
  opCase(
    'repeatInterleave of a symbol',
    { x: operand(['B', 'T', 1], range(6)) },
    ({ x }) => repeatInterleave(x, 1, 2),
    result(['B', '2*T', 1], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
  ),
];
