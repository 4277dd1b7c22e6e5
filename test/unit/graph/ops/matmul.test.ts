import { describe, expect, it } from 'vitest';

import { gradients } from '../../../../src/graph/gradients.ts';
import { createGraph } from '../../../../src/graph/graph.ts';
import { reduceSum } from '../../../../src/graph/ops/broadcast.ts';
import { cast } from '../../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../../src/graph/ops/matmul.ts';
import { input, weight } from '../../../../src/graph/value.ts';
import { checkOpCases } from '../../../check-op-cases.ts';
import { matMulCases } from './cases/matmul.ts';

checkOpCases('matmul', matMulCases);

describe('matMul', () => {
  it('casts a frozen weight again for the backward pass, so that the first cast need not be kept', () => {
    const x = input('x', [2, 3]);
    const w = cast(weight('w', [3, 4], 'bfloat16'), 'float32');
    const loss = reduceSum(matMul(x, w), [0, 1], false);
    const casts = createGraph({ dx: gradients(loss, [x])[0] ?? loss, loss }).nodes.filter(({ op }) => op === 'cast');
    expect(casts).toHaveLength(2);
    expect(casts[0]?.inputs[0]).toBe(casts[1]?.inputs[0]);
  });
});
