import { describe, expect, it } from 'vitest';

import { isSameList, packedRoom, packTensors, unpackTensors } from '../../../src/engine/packed-tensors.ts';
import { float32, tensor } from '../../../src/graph/tensor.ts';

const tensors = [
  ['a', tensor('uint8', [3], Uint8Array.of(1, 2, 3))],
  ['nothing', float32([0, 2], [])],
  ['scalar', tensor('int64', [], BigInt64Array.of(-7n))],
  ['matrix', float32([2, 2], [1, 2, 3, 4])],
] as const;

describe('packTensors', () => {
  it('gives back what was packed, of any dtype and shape', () => {
    expect(unpackTensors(packTensors(tensors))).toEqual(tensors);
  });

  it('puts tensors of whole cache lines one after the other', () => {
    const row = float32([16], Array<number>(16).fill(1));
    const { buffer } = packTensors([
      ['first', row],
      ['second', row],
    ]);
    expect(new Float32Array(buffer)).toEqual(new Float32Array(32).fill(1));
  });

  it('packs into memory that is large enough, whatever it held', () => {
    const spare = new Uint8Array(1000).fill(255).buffer;
    const packed = packTensors(tensors, spare);
    expect(packed.buffer).toBe(spare);
    expect(unpackTensors(packed)).toEqual(tensors);
    expect(packTensors(tensors, new ArrayBuffer(8)).buffer.byteLength).toBeGreaterThan(8);
  });
});

describe('isSameList', () => {
  const list = { names: ['x', 'y'], dtypes: ['float32', 'int32'], shapes: [[2], [1, 2]] } as const;

  it.each([
    ['names', { names: ['x', 'z'] }],
    ['dtypes', { dtypes: ['float32', 'int64'] }],
    ['sizes', { shapes: [[2], [1, 3]] }],
    ['axes', { shapes: [[2], [1, 2, 1]] }],
    ['tensors', { names: ['x'], dtypes: ['float32'], shapes: [[2]] }],
  ] as const)('tells other %s', (_, change) => {
    expect(isSameList(list, structuredClone(list))).toBe(true);
    expect(isSameList(list, { ...list, ...change })).toBe(false);
    expect(isSameList({ ...list, ...change }, list)).toBe(false);
  });
});

describe('packedRoom', () => {
  it('has room for tensors of the given dtypes and shapes', () => {
    const room = packedRoom({ names: ['x', 'y'], dtypes: ['float32', 'int32'], shapes: [[2], [1, 2]] });
    expect(unpackTensors(room)).toEqual([
      ['x', float32([2], [0, 0])],
      ['y', tensor('int32', [1, 2], Int32Array.of(0, 0))],
    ]);
  });
});
