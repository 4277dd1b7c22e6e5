import { dropout, gelu, geluTanh, silu, softmax } from '../../../../../src/graph/ops/activation.ts';
import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { opCase, operand, result } from '../../../../op-cases.ts';

const x = operand([4], [-2, 0, 0.5, 3]);
const fixed = { differentiable: false };

/** Cases of src/graph/ops/activation.ts. */
export const activationCases = [
  opCase('silu', { x }, ({ x }) => silu(x), result([4], [-0.2384058, 0, 0.3112297, 2.8577224])),
  opCase(
    'silu over symbols',
    { x: operand(['B', 1, 2], [-2, 0, 0.5, 3]) },
    ({ x }) => silu(x),
    result(['B', 1, 2], [-0.2384058, 0, 0.3112297, 2.8577224]),
  ),
  opCase('gelu', { x }, ({ x }) => gelu(x), result([4], [-0.0455003, 0, 0.3457312, 2.9959502])),
  opCase('geluTanh', { x }, ({ x }) => geluTanh(x), result([4], [-0.0454023, 0, 0.345714, 2.9963627])),
  opCase(
    'geluTanh over symbols',
    { x: operand(['B', 1, 2], [-2, 0, 0.5, 3]) },
    ({ x }) => geluTanh(x),
    result(['B', 1, 2], [-0.0454023, 0, 0.345714, 2.9963627]),
  ),
  opCase(
    'softmax',
    { x: operand([2, 2], [0, 0, 1, 3]) },
    ({ x }) => softmax(x),
    result([2, 2], [0.5, 0.5, 0.1192029, 0.8807971]),
  ),
  opCase('softmax of large numbers', { x: operand([2], [1000, 1000]) }, ({ x }) => softmax(x), result([2], [0.5, 0.5])),
  opCase(
    'softmax over symbols',
    { x: operand(['B', 'T'], [0, 0, 0, 1, 1, 1]) },
    ({ x }) => softmax(x),
    result(['B', 'T'], [1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3]),
  ),
  opCase(
    'softmax with a mask',
    { x: operand([2], [1, -1e9], { range: [-2, 2] }) },
    ({ x }) => softmax(x),
    result([2], [1, 0]),
  ),
  // Fractions of rows * columns: .25 .5 / .75 .5; an element stays when its fraction is above the rate.
  opCase(
    'dropout',
    {
      x: operand([2, 2], [1, 2, 3, 4]),
      rows: operand([2, 1], [1.25, 1.75], { ...fixed, range: [1.25, 1.25] }),
      columns: operand([2], [1, 2], { ...fixed, range: [1, 1] }),
    },
    ({ x, rows, columns }) => dropout(x, rows, columns, 0.4),
    result([2, 2], [0, 2 / 0.6, 3 / 0.6, 4 / 0.6]),
  ),
  opCase(
    'dropout of a batch',
    {
      x: operand(['B', 1, 2], [1, 2, 3, 4]),
      rows: operand(['B', 1, 1], [1.25, 1.75], { ...fixed, range: [1.5, 1.5] }),
      columns: operand([2], [1, 2], { ...fixed, range: [1, 1] }),
    },
    ({ x, rows, columns }) => dropout(x, rows, columns, 0.6),
    result(['B', 1, 2], [0, 0, 3 / 0.4, 0]),
  ),
  opCase(
    'dropout of nothing',
    { x: operand([2], [1, 2]), rows: operand([1], [1], fixed), columns: operand([2], [1, 2], fixed) },
    ({ x, rows, columns }) => mul(dropout(x, rows, columns, 0), 1),
    result([2], [1, 2]),
  ),
];
