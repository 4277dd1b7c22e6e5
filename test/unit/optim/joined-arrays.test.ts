import { describe, expect, it } from 'vitest';

import { float32 } from '../../../src/graph/tensor.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import { joinedArrays, joinedCopy, joinedZeros } from '../../../src/optim/joined-arrays.ts';
import { optimizerNames, type Params } from '../../../src/optim/optimizer.ts';
import { createRandom } from '../../../src/random.ts';

const apart: Params = new Map([
  ['a', float32([2], [1, 2])],
  ['b', float32([1, 3], [3, 4, 5])],
  ['c', float32([1], [6])],
]);

describe('joinedCopy', () => {
  it('copies parameters into one piece of memory, in order', () => {
    const joined = joinedCopy(apart);
    expect(joined).toEqual(apart);
    expect(new Float32Array(joined.get('c')?.data.buffer ?? new ArrayBuffer(0))).toEqual(
      Float32Array.of(1, 2, 3, 4, 5, 6),
    );
    joined.get('a')?.data.fill(0);
    expect(apart.get('a')?.data).toEqual(Float32Array.of(1, 2));
  });
});

describe('joinedZeros', () => {
  it('makes zeros of the given shapes', () => {
    expect(joinedZeros([['x', [2]] as const, ['y', []] as const])).toEqual(
      new Map([
        ['x', float32([2], [0, 0])],
        ['y', float32([], [0])],
      ]),
    );
  });
});

describe('joinedArrays', () => {
  const twoOf = (params: Params, other: Params): readonly (readonly number[])[][] =>
    joinedArrays(params, (name, data) => [data, other.get(name)?.data ?? data] as const).map((arrays) =>
      arrays.map((array) => [...array]),
    );

  it('gives what follows in memory as one, and writes to the same memory', () => {
    const [first, second] = [joinedCopy(apart), joinedCopy(apart)];
    const all = [1, 2, 3, 4, 5, 6];
    expect(twoOf(first, second)).toEqual([[all, all]]);
    const [[joined]] = joinedArrays(first, (_, data) => [data] as const) as [[Float32Array]];
    joined[3] = 40;
    expect(first.get('b')?.data).toEqual(Float32Array.of(3, 40, 5));
  });

  it('keeps apart what does not follow, in any of the lists', () => {
    const joined = joinedCopy(apart);
    const parts = [
      [[1, 2], [1, 2]],
      [[3, 4, 5], [3, 4, 5]],
      [[6], [6]],
    ]; // prettier-ignore
    expect(twoOf(joined, apart)).toEqual(parts);
    const reversed = new Map([...joined].reverse());
    expect(twoOf(reversed, joinedCopy(apart))).toEqual(parts.toReversed());
    // A gap after a, and then two that follow.
    const memory = Float32Array.of(1, 2, 0, 3, 4, 5, 6);
    const gap: Params = new Map([
      ['a', float32([2], memory.subarray(0, 2))],
      ['b', float32([1, 3], memory.subarray(3, 6))],
      ['c', float32([1], memory.subarray(6))],
    ]);
    const rest = [3, 4, 5, 6];
    expect(twoOf(joined, gap)).toEqual([
      [[1, 2], [1, 2]],
      [rest, rest],
    ]); // prettier-ignore
  });

  it.each(optimizerNames)('%s steps the same in memory of one piece as in many', (name) => {
    const random = createRandom(name);
    const values = (): Params =>
      new Map(
        [[3, 5], [7], [4096], [2, 3000]].map((shape, i) => [
          `p${i}`,
          float32(shape, random.normals(shape.reduce((a, b) => a * b, 1))),
        ]),
      );
    const many = values();
    const one = joinedCopy(many);
    const optimizer = createOptimizer({ name });
    const states = [optimizer.init(many), optimizer.init(one)] as const;
    for (let step = 0; step < 2; step++) {
      const grads = values();
      optimizer.update(one, joinedCopy(grads), states[1], 0.01, 0.5);
      optimizer.update(many, grads, states[0], 0.01, 0.5);
    }
    expect(one).toEqual(many);
    expect(states[1]).toEqual(states[0]);
  });
});
