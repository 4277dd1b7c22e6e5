import { mul } from '../../../../../src/graph/ops/elementwise.ts';
import { layerNorm, rmsNorm } from '../../../../../src/graph/ops/normalization.ts';
import { opCase, operand, result } from '../../../../op-cases.ts';

/** Cases of src/graph/ops/normalization.ts. */
export const normalizationCases = [
  // Mean 3, variance 5 - 1 = 4 with eps 0: (x - 3) / 2; then variance 1 and eps 3.
  opCase('layerNorm', { x: operand([1, 2], [1, 5]) }, ({ x }) => layerNorm(x, 0), result([1, 2], [-1, 1])),
  opCase(
    'layerNorm with a large eps',
    { x: operand([2, 2], [1, 3, 10, 12]) },
    ({ x }) => layerNorm(x, 3),
    result([2, 2], [-0.5, 0.5, -0.5, 0.5]),
  ),
  opCase(
    'layerNorm over symbols',
    { x: operand(['B', 'H', 4], [1, 1, 3, 3, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0]) },
    ({ x }) => layerNorm(x, 1e-6),
    result(
      ['B', 'H', 4],
      [
        -1, -1, 1, 1, -0.5773502, -0.5773502, -0.5773502, 1.7320506, -1.3416402, -0.4472134, 0.4472134, 1.3416402, 0, 0,
        0, 0,
      ],
    ),
  ),
  opCase(
    'layerNorm used twice',
    { x: operand([2, 3], [1, 2, 3, 0, 0, 3]) },
    ({ x }) => mul(layerNorm(x, 1), x),
    result([2, 3], [-0.7745967, 0, 2.3237901, 0, 0, 3.4641016]),
  ),
  opCase('rmsNorm', { x: operand([1, 2], [1, 7]) }, ({ x }) => rmsNorm(x, 0), result([1, 2], [0.2, 1.4])),
  opCase(
    'rmsNorm with a large eps',
    { x: operand([1, 2], [1, 7]) },
    ({ x }) => rmsNorm(x, 75),
    result([1, 2], [0.1, 0.7]),
  ),
  opCase(
    'rmsNorm of channels',
    { x: operand(['B', 2, 'H'], [1, 3, 7, 4, 0, 1, 0, 1]) },
    ({ x }) => rmsNorm(x, 1e-6, 1),
    result(['B', 2, 'H'], [0.2, 0.8485281, 1.4, 1.1313708, 0, 1, 0, 1]),
  ),
];
