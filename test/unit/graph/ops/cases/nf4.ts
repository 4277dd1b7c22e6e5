import { dequantizeNf4, nf4Block, nf4Levels } from '../../../../../src/graph/ops/nf4.ts';
import { opCase, operand, range, result } from '../../../../op-cases.ts';

// Two blocks: the high bits count up, the low ones down, and the second block is twice the first.
const codes = range(nf4Block).map((i) => ((i % 16) << 4) | (15 - (i % 16)));
const level = (index: number): number => nf4Levels[index] ?? Number.NaN;
const scale = (i: number): number => (i % nf4Block < nf4Block / 2 ? 1 : 2);

/** Cases of src/graph/ops/nf4.ts. */
export const nf4Cases = [
  opCase(
    'dequantizeNf4',
    {
      codes: operand([nf4Block], codes, { dtype: 'uint8' }),
      scales: operand([2], [1, 2], { differentiable: false }),
    },
    (operands) => dequantizeNf4(operands.codes, operands.scales, [8, 16]),
    result(
      [8, 16],
      range(2 * nf4Block).map((i) => scale(i) * level(i < nf4Block ? i % 16 : 15 - (i % 16))),
    ),
  ),
];
