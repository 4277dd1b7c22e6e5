import { describe, expect, it } from 'vitest';

import { roundValues } from '../../../src/export/round-values.ts';
import { fromFloat32 } from '../../../src/graph/tensor.ts';
import { createRandom } from '../../../src/random.ts';

describe('roundValues', () => {
  const random = createRandom('values');
  const edges = [0, -0, 1, -1, 65504, -65504, 2 ** -14, 2 ** -15, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -26, 1e-40];
  const ties = Array.from({ length: 64 }, (_, i) => [1 + i / 2048, 1 + i / 256, (i + 0.5) * 2 ** -24]).flat();
  const drawn = Array.from({ length: 20_000 }, () => random.normal() * 2 ** (random.integer(30) - 26));
  const values = Float32Array.from([...edges, ...ties, ...drawn, ...[...ties, ...drawn].map((x) => -x)]);

  for (const dtype of ['bfloat16', 'float16', 'float32'] as const) {
    it(`rounds to ${dtype} as fromFloat32 does, bit for bit`, () => {
      const rounded = roundValues(dtype, [values.length], values);
      expect(rounded).toEqual(fromFloat32(dtype, [values.length], values));
    });
  }
});
