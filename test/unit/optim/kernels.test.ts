import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { adamwKernel, type AdamWFactors, lionKernel, sumOfSquares } from '../../../src/optim/kernels.ts';
import { createRandom } from '../../../src/random.ts';
import { assembleKernels, kernelsModule } from '../../../tools/kernels/assemble-kernels.ts';

const { fround } = Math;
// Fewer than a vector, whole blocks, and both sides of them.
const lengths = [1, 3, 4, 4095, 4096, 4097, 10_001];

/** Values of every size that float32 has, zeros among them. */
function values(name: string, length: number): Float32Array {
  const random = createRandom(name);
  return Float32Array.from({ length }, () =>
    random.uniform() < 0.1 ? 0 : random.normal() * 10 ** (19 - 64 * random.uniform()),
  );
}

describe('kernels-wasm.ts', () => {
  it('is what kernels.wat assembles to (else: npm run kernels)', async () => {
    const committed = await readFile(new URL(`../../../${kernelsModule}`, import.meta.url), 'utf8');
    expect(committed).toBe(await assembleKernels());
  });
});

describe('adamwKernel', () => {
  /** The same with one element after the other, each operation rounded to float32. */
  function inScalars(
    p: Float32Array,
    gradients: Float32Array,
    means: Float32Array,
    squares: Float32Array,
    factors: AdamWFactors,
  ): void {
    const [scale, rest1, rest2] = [fround(factors.scale), fround(factors.rest1), fround(factors.rest2)];
    const [decay, step, root, eps] = [
      fround(factors.decay),
      fround(factors.step),
      fround(factors.root),
      fround(factors.eps),
    ];
    for (let i = 0; i < p.length; i++) {
      const g = fround((gradients[i] ?? 0) * scale);
      const [m, v, weight] = [means[i] ?? 0, squares[i] ?? 0, p[i] ?? 0];
      const mean = fround(m + fround(rest1 * fround(g - m)));
      const square = fround(v + fround(rest2 * fround(fround(g * g) - v)));
      const divisor = fround(fround(fround(Math.sqrt(square)) * root) + eps);
      const update = fround(fround(step * mean) / divisor);
      p[i] = weight - fround(fround(decay * weight) + update);
      means[i] = mean;
      squares[i] = square;
    }
  }

  it.each(lengths)('gives the bits of scalar float32 arithmetic, %i elements', (length) => {
    const arrays = (): [Float32Array, Float32Array, Float32Array, Float32Array] => [
      values('parameters', length),
      values('gradients', length),
      values('means', length),
      values('squares', length).map(Math.abs),
    ];
    const factors = { scale: 0.3, rest1: 0.1, rest2: 0.001, decay: 1e-6, step: 2e-4, root: 1.7, eps: 1e-8 };
    const [vectors, scalars] = [arrays(), arrays()];
    for (let step = 0; step < 3; step++) {
      adamwKernel(...vectors, factors);
      inScalars(...scalars, factors);
    }
    expect(vectors).toEqual(scalars);
  });
});

describe('lionKernel', () => {
  it.each(lengths)('gives the bits of scalar float32 arithmetic, %i elements', (length) => {
    const arrays = (): [Float32Array, Float32Array, Float32Array] => [
      values('parameters', length),
      values('gradients', length),
      values('means', length),
    ];
    const [scale, rest1, rest2, decay, rate] = [fround(0.3), fround(0.1), fround(0.01), fround(1e-5), fround(1e-4)];
    const [vectors, [p, gradients, means]] = [arrays(), arrays()];
    for (let step = 0; step < 3; step++) {
      lionKernel(...vectors, { scale, rest1, rest2, decay, rate });
      for (let i = 0; i < length; i++) {
        const g = fround((gradients[i] ?? 0) * scale);
        const [m, weight] = [means[i] ?? 0, p[i] ?? 0];
        const direction = fround(m + fround(rest1 * fround(g - m)));
        p[i] = weight - fround(fround(decay * weight) + rate * Math.sign(direction));
        means[i] = fround(m + fround(rest2 * fround(g - m)));
      }
    }
    expect(vectors).toEqual([p, gradients, means]);
  });
});

describe('sumOfSquares', () => {
  it.each(lengths)('sums all %i elements and nothing else', (length) => {
    sumOfSquares(new Float32Array(5000).fill(7)); // what a longer array leaves behind
    expect(sumOfSquares(new Float32Array(length).fill(3))).toBe(9 * length);
  });

  it('is exact where float32 would overflow or vanish', () => {
    expect(sumOfSquares(Float32Array.of(2 ** 100, 2 ** 100))).toBe(2 ** 201);
    expect(sumOfSquares(Float32Array.of(2 ** -100))).toBe(2 ** -200);
  });

  it('is not finite when an element is not', () => {
    expect(sumOfSquares(Float32Array.of(1, Number.NaN))).toBeNaN();
    expect(sumOfSquares(Float32Array.of(Number.NEGATIVE_INFINITY, 1))).toBe(Number.POSITIVE_INFINITY);
  });
});
