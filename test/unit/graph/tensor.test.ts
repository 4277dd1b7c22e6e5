import { describe, expect, it } from 'vitest';

import {
  float32,
  fromFloat32,
  tensor,
  tensorBytes,
  tensorFromBytes,
  toFloat32,
  zeros,
} from '../../../src/graph/tensor.ts';

describe('tensor', () => {
  it('refuses data that is not of the dtype or the shape', () => {
    expect(() => tensor('float32', [2], Int32Array.of(1, 2))).toThrow('float32 needs a Float32Array, got a Int32Array');
    expect(() => float32([2, 2], [1, 2, 3])).toThrow('shape [2, 2] has 4 elements, the data has 3');
    expect(float32([], [1]).shape).toEqual([]);
    expect(zeros('int64', [2]).data).toEqual(BigInt64Array.of(0n, 0n));
  });
});

describe('fromFloat32', () => {
  // Bit patterns of IEEE 754 binary16: 1 sign, 5 exponent (bias 15) and 10 fraction bits.
  it.each<[number, number, number]>([
    [0, 0, 0],
    [-0, 0x8000, -0],
    [1, 0x3c00, 1],
    [-2.5, 0xc100, -2.5],
    [65504, 0x7bff, 65504],
    [65519, 0x7bff, 65504],
    [65520, 0x7c00, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0xfc00, Number.NEGATIVE_INFINITY],
    [Number.NaN, 0x7e00, Number.NaN],
    [2 ** -14, 0x0400, 2 ** -14], // the smallest normal
    [2 ** -24, 0x0001, 2 ** -24], // the smallest of all
    [2 ** -25, 0, 0], // halfway to it: to even
    [1.5 * 2 ** -24, 0x0002, 2 ** -23],
    [1 + 2 ** -11, 0x3c00, 1], // ties go to even
    [1 + 3 * 2 ** -11, 0x3c02, 1 + 2 ** -9],
    [2 - 2 ** -12, 0x4000, 2], // carries into the exponent
    [2 ** -14 - 2 ** -26, 0x0400, 2 ** -14], // out of the subnormals
  ])('rounds %d to float16 %d', (value, bits, back) => {
    const half = fromFloat32('float16', [1], Float32Array.of(value));
    expect(half.data[0]).toBe(bits);
    expect(toFloat32(half)[0]).toBe(back);
  });

  // bfloat16 is the upper half of a float32: 1 sign, 8 exponent and 7 fraction bits.
  it.each<[number, number, number]>([
    [1, 0x3f80, 1],
    [-0, 0x8000, -0],
    [1 + 2 ** -8, 0x3f80, 1], // ties go to even
    [1 + 3 * 2 ** -8, 0x3f82, 1 + 2 ** -6],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81, 1 + 2 ** -7],
    [3.4028234663852886e38, 0x7f80, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, 0xff80, Number.NEGATIVE_INFINITY],
    [Number.NaN, 0x7fc0, Number.NaN],
    [2 ** -149, 0, 0],
  ])('rounds %d to bfloat16 %d', (value, bits, back) => {
    const brain = fromFloat32('bfloat16', [1], Float32Array.of(value));
    expect(brain.data[0]).toBe(bits);
    expect(toFloat32(brain)[0]).toBe(back);
  });
});

describe('toFloat32', () => {
  it('shares the memory of float32 and converts what is not', () => {
    const full = float32([2], [1, 2]);
    expect(toFloat32(full)).toBe(full.data);
    expect(toFloat32(tensor('int64', [1], BigInt64Array.of(-7n)))).toEqual(Float32Array.of(-7));
    expect(toFloat32(tensor('bool', [2], Uint8Array.of(1, 0)))).toEqual(Float32Array.of(1, 0));
    expect(toFloat32(tensor('float64', [1], Float64Array.of(0.1)))).toEqual(Float32Array.of(0.1));
  });
});

describe('tensorFromBytes', () => {
  it('shares aligned memory and copies what is not aligned or shared between threads', () => {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setFloat32(4, 1.5, true);
    const aligned = tensorFromBytes('float32', [1], bytes.subarray(4, 8));
    expect(aligned).toEqual(float32([1], [1.5]));
    expect(aligned.data.buffer).toBe(bytes.buffer);
    bytes.copyWithin(5, 4, 8);
    const odd = tensorFromBytes('float32', [1], bytes.subarray(5, 9));
    expect(odd).toEqual(float32([1], [1.5]));
    const shared = tensorFromBytes('uint8', [2], new Uint8Array(new SharedArrayBuffer(2)));
    expect(shared.data.buffer).toBeInstanceOf(ArrayBuffer);
    expect(tensorFromBytes('float32', [1], tensorBytes(aligned))).toEqual(aligned);
    expect(() => tensorFromBytes('float32', [2], bytes)).toThrow('float32 [2] takes 8 bytes, got 12');
  });
});
