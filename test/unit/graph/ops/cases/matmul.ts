import { matMul } from '../../../../../src/graph/ops/matmul.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

// [[1, 2, 3], [4, 5, 6]] and [[1, 0], [2, 1], [0, -1]], and their transposes.
const a = operand([2, 3], [1, 2, 3, 4, 5, 6]);
const aT = operand([3, 2], [1, 4, 2, 5, 3, 6]);
const b = operand([3, 2], [1, 0, 2, 1, 0, -1]);
const bT = operand([2, 3], [1, 2, 0, 0, 1, -1]);
const product = [5, -1, 14, -1];

const twice = (values: readonly number[]): readonly number[] => [...values, ...values];
const batch = (values: readonly number[]): readonly number[] => [...values, ...values.map((value) => 2 * value)];

/** Cases of src/graph/ops/matmul.ts. */
export const matMulCases = [
  opCase('matMul', { a, b }, ({ a, b }) => matMul(a, b), result([2, 2], product)),
  opCase('matMul, transA', { a: aT, b }, ({ a, b }) => matMul(a, b, { transA: true }), result([2, 2], product)),
  opCase('matMul, transB', { a, b: bT }, ({ a, b }) => matMul(a, b, { transB: true }), result([2, 2], product)),
  opCase(
    'matMul, transA, transB',
    { a: aT, b: bT },
    ({ a, b }) => matMul(a, b, { transA: true, transB: true }),
    result([2, 2], product),
  ),
  opCase(
    'matMul of a value with itself',
    { a: operand([2, 2], [1, 2, 3, 4]) },
    ({ a }) => matMul(a, a, { transB: true }),
    result([2, 2], [5, 11, 11, 25]),
  ),
  ...[false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => {
      const [left, right] = [transA ? aT : a, transB ? bT : b];
      const flags = `${transA ? ', transA' : ''}${transB ? ', transB' : ''}`;
      const [one, many] = [
        { a: left, b: operand([2, ...right.shape], batch(right.values)) },
        { a: operand(['B', ...left.shape], batch(left.values)), b: right },
      ];
      return [
        opCase(
          `matMul of a batch${flags}`,
          {
            a: operand(['B', ...left.shape], batch(left.values)),
            b: operand(['B', ...right.shape], twice(right.values)),
          },
          ({ a, b }) => matMul(a, b, { transA, transB }),
          result(['B', 2, 2], batch(product)),
        ),
        opCase(
          `matMul of a batch by one matrix${flags}`,
          many,
          ({ a, b }) => matMul(a, b, { transA, transB }),
          result(['B', 2, 2], batch(product)),
        ),
        opCase(
          `matMul of one matrix by a batch${flags}`,
          one,
          ({ a, b }) => matMul(a, b, { transA, transB }),
          result([2, 2, 2], batch(product)),
        ),
        opCase(
          `matMul of batches that broadcast${flags}`,
          {
            a: operand([2, 1, ...left.shape], batch(left.values)),
            b: operand([2, ...right.shape], twice(right.values)),
          },
          ({ a, b }) => matMul(a, b, { transA, transB }),
          result(
            [2, 2, 2, 2],
            batch(twice(product).slice(0, 4)).flatMap((_, i, all) => (i % 4 === 0 ? twice(all.slice(i, i + 4)) : [])),
          ),
        ),
        opCase(
          `matMul of batches that both broadcast${flags}`,
          {
            a: operand([2, 1, ...left.shape], batch(left.values)),
            b: operand(
              [1, 3, ...right.shape],
              [...right.values, ...right.values.map((value) => -value), ...right.values.map(() => 0)],
            ),
          },
          ({ a, b }) => matMul(a, b, { transA, transB }),
          result(
            [2, 3, 2, 2],
            [1, 2].flatMap((scale) => [1, -1, 0].flatMap((sign) => product.map((value) => value * sign * scale))),
          ),
        ),
      ];
    }),
  ),
  opCase(
    'matMul over symbols',
    { a: operand(['B', 'N', 2], range(16)), b: operand(['B', 2, 1], [1, 0, 0, 1]) },
    ({ a, b }) => matMul(a, b),
    result(['B', 'N', 1], [0, 2, 4, 6, 9, 11, 13, 15]),
  ),
  opCase(
    'matMul over a symbol that is summed',
    { a: operand(['B', 'N', 1], range(8)), b: operand(['B', 'N', 2], range(16)) },
    ({ a, b }) => matMul(a, b, { transA: true }),
    result(['B', 1, 2], [28, 34, 252, 274]),
  ),
  opCase(
    'matMul of a matrix by a batch, symbols inside',
    { a: operand([3, 2], [1, 4, 2, 5, 3, 6]), b: operand(['B', 'N', 2], range(16)) },
    ({ a, b }) => matMul(a, b, { transB: true }),
    result(
      ['B', 3, 'N'],
      [4, 14, 24, 34, 5, 19, 33, 47, 6, 24, 42, 60, 44, 54, 64, 74, 61, 75, 89, 103, 78, 96, 114, 132],
    ),
  ),
];
