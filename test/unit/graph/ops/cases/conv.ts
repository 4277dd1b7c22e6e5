import { conv2d, joinPixels, pixelShuffle, pixelUnshuffle } from '../../../../../src/graph/ops/conv.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

// B = 2, H = 2, W = 3.
const fixed = { differentiable: false };
const image = operand([1, 1, 3, 3], range(9, 1)); // rows 1 2 3, 4 5 6, 7 8 9

/** Cases of src/graph/ops/conv.ts. */
export const convCases = [
  opCase(
    'conv2d',
    { x: image, kernel: operand([1, 1, 2, 2], [1, 10, 100, 1000]) },
    ({ x, kernel }) => conv2d(x, kernel),
    result([1, 1, 2, 2], [5421, 6532, 8754, 9865]),
  ),
  opCase(
    'conv2d with padding and a bias',
    {
      x: image,
      kernel: operand([2, 1, 3, 3], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
      bias: operand([2], [0.5, -0.5]),
    },
    ({ x, kernel, bias }) => conv2d(x, kernel, { padding: 1, bias }),
    result([1, 2, 3, 3], [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 1.5, 2.5, -0.5, 4.5, 5.5, -0.5, 7.5, 8.5, -0.5]),
  ),
  opCase(
    'conv2d with stride 2',
    { x: operand([1, 1, 4, 4], range(16), fixed), kernel: operand([1, 1, 2, 2], [1, 1, 1, 1], fixed) },
    ({ x, kernel }) => conv2d(x, kernel, { stride: 2 }),
    result([1, 1, 2, 2], [10, 18, 42, 50]),
  ),
  opCase(
    'conv2d with stride 2 over symbols',
    {
      x: operand(['B', 1, '2*H', '2*W'], range(48), fixed),
      kernel: operand([1, 1, 3, 3], [0, 0, 0, 0, 1, 0, 0, 0, 0], fixed),
    },
    ({ x, kernel }) => conv2d(x, kernel, { stride: 2, padding: 1 }),
    result(['B', 1, 'H', 'W'], [0, 2, 4, 12, 14, 16, 24, 26, 28, 36, 38, 40]),
  ),
  opCase(
    'conv2d, 1x1',
    { x: operand(['B', 2, 1, 2], range(8)), kernel: operand([1, 2, 1, 1], [1, 10]) },
    ({ x, kernel }) => conv2d(x, kernel),
    result(['B', 1, 1, 2], [20, 31, 64, 75]),
  ),
  opCase(
    'conv2d, 1x1 over symbols with a bias',
    { x: operand(['B', 2, 'H', 1], range(8)), kernel: operand([1, 2, 1, 1], [1, 10]), bias: operand([1], [100]) },
    ({ x, kernel, bias }) => conv2d(x, kernel, { bias }),
    result(['B', 1, 'H', 1], [120, 131, 164, 175]),
  ),
  opCase(
    'conv2d, a channel at a time',
    {
      x: operand(['B', 2, 'H', 'W'], range(24)),
      kernel: operand([2, 1, 3, 3], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], fixed),
      bias: operand([2], [0, 100]),
    },
    ({ x, kernel, bias }) => conv2d(x, kernel, { padding: 1, groups: 2, bias }),
    result(
      ['B', 2, 'H', 'W'],
      [0, 1, 2, 3, 4, 5, 100, 106, 107, 100, 109, 110, 12, 13, 14, 15, 16, 17, 100, 118, 119, 100, 121, 122],
    ),
  ),
  opCase(
    'conv2d in two groups',
    { x: operand([1, 4, 1, 1], [1, 2, 3, 4]), kernel: operand([4, 2, 1, 1], [1, 0, 0, 1, 1, 1, 1, -1], fixed) },
    ({ x, kernel }) => conv2d(x, kernel, { groups: 2 }),
    result([1, 4, 1, 1], [1, 2, 7, -1]),
  ),
  opCase(
    'conv2d in two groups of unequal sides',
    {
      x: operand([1, 4, 2, 2], range(16)),
      kernel: operand(
        [2, 2, 3, 3],
        [
          ...Array<number>(4).fill(0),
          1,
          ...Array<number>(8).fill(0),
          1,
          ...Array<number>(8).fill(0),
          1,
          ...Array<number>(8).fill(0),
          2,
          0,
          0,
          0,
          0,
        ],
        fixed,
      ),
    },
    ({ x, kernel }) => conv2d(x, kernel, { padding: 1, groups: 2 }),
    result([1, 2, 2, 2], [4, 6, 8, 10, 32, 35, 38, 41]),
  ),
  opCase(
    'conv2d of several channels',
    {
      x: operand([2, 2, 2, 2], range(16)),
      kernel: operand([2, 2, 2, 2], [1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0]),
    },
    ({ x, kernel }) => conv2d(x, kernel),
    result([2, 2, 1, 1], [7, 7, 23, 23]),
  ),
  opCase(
    'conv2d with other padding on each side',
    { x: operand([1, 1, 2, 2], [1, 2, 3, 4], fixed), kernel: operand([1, 1, 2, 2], [1, 10, 100, 1000], fixed) },
    ({ x, kernel }) => conv2d(x, kernel, { padding: [1, 0, 0, 1] }),
    result([1, 1, 2, 2], [2100, 200, 4321, 402]),
  ),
  opCase(
    'conv2d with a stride of rows alone',
    { x: operand([1, 1, 4, 3], range(12), fixed), kernel: operand([1, 1, 2, 1], [1, 100], fixed) },
    ({ x, kernel }) => conv2d(x, kernel, { stride: [2, 1] }),
    result([1, 1, 2, 3], [300, 401, 502, 906, 1007, 1108]),
  ),
  opCase(
    'joinPixels',
    {
      a: operand([1, 1, 1, 2], [1, 2]),
      b: operand([1, 1, 1, 2], [3, 4]),
      c: operand([1, 1, 1, 2], [5, 6]),
      d: operand([1, 1, 1, 2], [7, 8]),
    },
    ({ a, b, c, d }) => joinPixels([a, b, c, d]),
    result([1, 1, 2, 4], [1, 3, 2, 4, 5, 7, 6, 8]),
  ),
  opCase(
    'joinPixels over symbols',
    { a: operand(['B', 2, 'H', 1], range(8)), b: operand(['B', 2, 'H', 1], range(8, 10)) },
    ({ a, b }) => joinPixels([a, a, b, b]),
    result(
      ['B', 2, '2*H', 2],
      [0, 0, 10, 10, 1, 1, 11, 11, 2, 2, 12, 12, 3, 3, 13, 13, 4, 4, 14, 14, 5, 5, 15, 15, 6, 6, 16, 16, 7, 7, 17, 17],
    ),
  ),
  opCase(
    'pixelShuffle',
    { x: operand([1, 4, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]) },
    ({ x }) => pixelShuffle(x, 2),
    result([1, 1, 2, 4], [1, 3, 2, 4, 5, 7, 6, 8]),
  ),
  opCase(
    'pixelShuffle over symbols',
    { x: operand(['B', 4, 'H', 1], range(16)) },
    ({ x }) => pixelShuffle(x, 2),
    result(['B', 1, '2*H', 2], [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]),
  ),
  opCase(
    'pixelUnshuffle',
    { x: operand([1, 1, 2, 4], [1, 3, 2, 4, 5, 7, 6, 8]) },
    ({ x }) => pixelUnshuffle(x, 2),
    result([1, 4, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
  ),
  opCase(
    'pixelUnshuffle over symbols',
    { x: operand(['B', 1, '2*H', 2], [0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]) },
    ({ x }) => pixelUnshuffle(x, 2),
    result(['B', 4, 'H', 1], range(16)),
  ),
];
