import { describe, expect, it } from 'vitest';
import { float32, fromFloat32 } from '../../../src/graph/tensor.ts';
import type { AdaptedModule } from '../../../src/lora/adapter-config.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { createRandom } from '../../../src/random.ts';

const wide: AdaptedModule = {
  inFeatures: 500,
  outFeatures: 3,
  bias: false,
  rank: 20,
  alpha: 20,
  scale: 1,
  dora: false,
  dropout: 0,
};

function moments(values: Float32Array): { mean: number; deviation: number; largest: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  return { mean, deviation, largest: values.reduce((max, x) => Math.max(max, Math.abs(x)), 0) };
}

describe('createAdapter', () => {
  const random = createRandom(1);

  it('draws A from N(0, 1 / r^2), and begins with B at zero', async () => {
    const made = await createAdapter(new Map([['m', wide]]), new Map(), random);
    const { mean, deviation } = moments(made.get('transformer.m.lora_A.weight')?.data ?? new Float32Array());
    expect(Math.abs(mean)).toBeLessThan(0.002); // 4 standard errors of 10,000 draws
    expect(deviation).toBeCloseTo(1 / 20, 2);
    expect(made.get('transformer.m.lora_B.weight')).toEqual(float32([3, 20], new Float32Array(60)));
  });

  it("draws A uniformly within 1 / sqrt(fan-in) as peft's default does, a convolution's fan-in with its kernel", async () => {
    const conv = { ...wide, inFeatures: 125, kernel: 2 };
    const made = await createAdapter(new Map([['m', conv]]), new Map(), random, 'kaiming');
    const { deviation, largest } = moments(made.get('transformer.m.lora_A.weight')?.data ?? new Float32Array());
    expect(made.get('transformer.m.lora_A.weight')?.shape).toEqual([20, 125, 2, 2]);
    expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(500));
    expect(deviation).toBeCloseTo(1 / Math.sqrt(3 * 500), 3);
  });

  it('depends on the seed and the name of a module, not on the others', async () => {
    const one = await createAdapter(new Map([['b', wide]]), new Map(), createRandom(7));
    const two = await createAdapter(
      new Map([
        ['a', wide],
        ['b', wide],
      ]),
      new Map(),
      createRandom(7),
    );
    const other = await createAdapter(new Map([['b', wide]]), new Map(), createRandom(8));
    const name = 'transformer.b.lora_A.weight';
    expect(two.get(name)).toEqual(one.get(name));
    expect(two.get('transformer.a.lora_A.weight')).not.toEqual(one.get(name));
    expect(other.get(name)).not.toEqual(one.get(name));
  });

  it("begins with DoRA's magnitudes at the norms of the rows, whatever dtype the weights have", async () => {
    const dora = { ...wide, inFeatures: 2, outFeatures: 2, dora: true };
    const rows = Float32Array.of(3, 4, 0, -2);
    for (const weight of [float32([2, 2], rows), fromFloat32('bfloat16', [2, 2], rows)]) {
      const made = await createAdapter(new Map([['m', dora]]), new Map([['m.weight', weight]]), random);
      expect(made.get('transformer.m.lora_magnitude_vector')).toEqual(float32([2], [5, 2]));
    }
    const conv = { ...dora, kernel: 1 };
    const kernel = float32([2, 2, 1, 1], rows);
    const made = await createAdapter(new Map([['m', conv]]), new Map([['m.weight', kernel]]), random);
    expect(made.get('transformer.m.lora_magnitude_vector')).toEqual(float32([1, 2, 1, 1], [5, 2]));
    await expect(createAdapter(new Map([['m', dora]]), new Map(), random)).rejects.toThrow(
      'The weight m.weight is missing',
    );
  });
});
