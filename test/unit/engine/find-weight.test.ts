import { describe, expect, it } from 'vitest';

import { findWeight } from '../../../src/engine/find-weight.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { float32, fromFloat32, tensor } from '../../../src/graph/tensor.ts';
import { derivedWeight, type Value, weight } from '../../../src/graph/value.ts';
import type { Weights } from '../../../src/io/safetensors.ts';

const values = Float32Array.of(1, 2, 3, 4, -5, 6, 7, 8);
const weights: Weights = new Map([['w', fromFloat32('bfloat16', [2, 2, 2], values)]]);

async function find(value: Value, name: string): Promise<unknown> {
  return findWeight(createGraph({ y: value }), weights, name);
}

describe('findWeight', () => {
  it('gives a weight as it is stored', async () => {
    expect(await find(weight('w', [2, 4], 'bfloat16'), 'w')).toBe(weights.get('w'));
  });

  it('makes float32 of a small one, in the shape that is asked for', async () => {
    expect(await find(derivedWeight('w', [4, 2], 'float32'), 'w#float32')).toEqual(tensor('float32', [4, 2], values));
  });

  it('reverses the last two axes, of one that is itself derived too', async () => {
    const turned = tensor('float32', [2, 2, 2], Float32Array.of(4, 3, 2, 1, 8, 7, 6, -5));
    expect(await find(derivedWeight('w', [2, 2, 2], 'reversed'), 'w#reversed')).toEqual(turned);
    const twice = derivedWeight('w#float32', [2, 2, 2], 'reversed');
    expect(await find(twice, 'w#float32#reversed')).toEqual(turned);
  });

  it('takes one of equal parts, and makes others of it', async () => {
    const second = derivedWeight('w', [1, 2, 2], 'part 1/2');
    expect(await find(second, 'w#part 1/2')).toEqual(tensor('float32', [1, 2, 2], Float32Array.of(-5, 6, 7, 8)));
    const turned = derivedWeight('w#float32#part 1/2', [1, 2, 2], 'reversed');
    const expected = tensor('float32', [1, 2, 2], Float32Array.of(8, 7, 6, -5));
    expect(await find(turned, 'w#float32#part 1/2#reversed')).toEqual(expected);
    const wrong = derivedWeight('w', [2, 2, 2], 'part 1/2');
    await expect(find(wrong, 'w#part 1/2')).rejects.toThrow('[2, 2, 2] is expected');
  });

  it('makes 2x2 kernels for the pixels of an interpolated picture', async () => {
    const kernel: Weights = new Map([['k', float32([1, 1, 3, 3], Float32Array.of(1, 2, 4, 8, 16, 32, 64, 128, 256))]]);
    const made = async (place: '0/0' | '0/1' | '1/0'): Promise<unknown> => {
      const value = derivedWeight('k', [1, 1, 2, 2], `pixel ${place}`);
      return findWeight(createGraph({ y: value }), kernel, `k#pixel ${place}`);
    };
    const expected = (...data: number[]): unknown => float32([1, 1, 2, 2], Float32Array.from(data));
    expect(await made('0/0')).toEqual(expected(1, 2 + 4, 8 + 64, 16 + 32 + 128 + 256));
    expect(await made('0/1')).toEqual(expected(1 + 2, 4, 8 + 16 + 64 + 128, 32 + 256));
    expect(await made('1/0')).toEqual(expected(1 + 8, 2 + 4 + 16 + 32, 64, 128 + 256));
  });

  it("makes Winograd's one-row kernels of 3x3 ones", async () => {
    const kernel: Weights = new Map([
      ['k', float32([1, 2, 3, 3], Float32Array.of(24, 48, 72, 0, 0, 12, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3))],
    ]);
    const made = async (row: 0 | 3 | 5): Promise<unknown> => {
      const value = derivedWeight('k', [1, 2, 1, 3], `winograd ${row}/6`);
      return findWeight(createGraph({ y: value }), kernel, `k#winograd ${row}/6`);
    };
    const expected = (...data: number[]): unknown => float32([1, 2, 1, 3], Float32Array.from(data));
    expect(await made(0)).toEqual(expected(6, 12, 18, 0, 0, 0));
    expect(await made(3)).toEqual(expected(1, 3, 4, 1 / 6, 2 / 6, 3 / 6));
    expect(await made(5)).toEqual(expected(0, 6, 0, 1, 2, 3));
  });

  it('refuses what is missing, of another dtype or of another size', async () => {
    await expect(find(weight('v', [2]), 'v')).rejects.toThrow('The weight v is missing');
    await expect(find(weight('w', [2, 4]), 'w')).rejects.toThrow('The weight w is bfloat16 [2, 2, 2], and float32');
    await expect(find(derivedWeight('w', [9], 'float32'), 'w#float32')).rejects.toThrow('[9] is expected');
  });
});
