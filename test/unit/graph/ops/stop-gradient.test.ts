import { describe, expect, it } from 'vitest';

import { gradients } from '../../../../src/graph/gradients.ts';
import { reduceSum } from '../../../../src/graph/ops/broadcast.ts';
import { mul } from '../../../../src/graph/ops/elementwise.ts';
import { stopGradient } from '../../../../src/graph/ops/stop-gradient.ts';
import { input } from '../../../../src/graph/value.ts';
import { checkOpCases } from '../../../check-op-cases.ts';
import { stopGradientCases } from './cases/stop-gradient.ts';

checkOpCases('stop-gradient', stopGradientCases);

describe('stopGradient', () => {
  it('lets no gradient through, so that nothing is computed below it', () => {
    const [x, y] = [input('x', [2]), input('y', [2])];
    const loss = reduceSum(mul(stopGradient(mul(x, x)), y), [0], false);
    expect(() => gradients(loss, [x])).toThrow('x does not reach the loss');
    expect(gradients(loss, [y])[0]?.shape).toEqual([2]);
  });
});
