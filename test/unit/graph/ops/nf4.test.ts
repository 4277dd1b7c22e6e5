import { describe, expect, it } from 'vitest';

import { dequantizeNf4, nf4Levels } from '../../../../src/graph/ops/nf4.ts';
import { input } from '../../../../src/graph/value.ts';
import { checkOpCases } from '../../../check-op-cases.ts';
import { nf4Cases } from './cases/nf4.ts';

checkOpCases('nf4', nf4Cases);

describe('nf4Levels', () => {
  it('rises from -1 to 1 by 16 levels, with 0 among them', () => {
    expect(nf4Levels).toHaveLength(16);
    expect([nf4Levels[0], nf4Levels[7], nf4Levels[15]]).toEqual([-1, 0, 1]);
    expect(nf4Levels.toSorted((a, b) => a - b)).toEqual(nf4Levels);
  });
});

describe('dequantizeNf4', () => {
  it('refuses codes and scales of another number of elements', () => {
    const [codes, scales] = [input('codes', [64], 'uint8'), input('scales', [2])];
    expect(() => dequantizeNf4(codes, scales, [16, 4])).toThrow(
      'dequantizeNf4: [16, 4] takes uint8 [32] and float32 [1], got uint8 [64] and float32 [2]',
    );
    expect(() => dequantizeNf4(codes, scales, [8, 15])).toThrow('float32 [1.875]');
    expect(() => dequantizeNf4(input('floats', [64]), scales, [16, 8])).toThrow('got float32 [64]');
  });
});
