import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import { assertFinite } from '../../../src/io/assert-finite.ts';
import { openSafetensors, writeSafetensors } from '../../../src/io/safetensors.ts';

describe('assertFinite', () => {
  it.each([
    ['float16', [0x7bff, 0xfbff, 0x0001], [0x7c00, 0xfc00, 0x7e00]],
    ['bfloat16', [0x7f7f, 0xff7f, 0x0001], [0x7f80, 0xff80, 0x7fc0]],
  ] as const)('tells the largest %s from infinities and NaN', async (dtype, finite, others) => {
    await assertFinite(new Map([['w', tensor(dtype, [3], Uint16Array.from(finite))]]));
    for (const bits of others) {
      const bad = tensor(dtype, [2, 2], Uint16Array.of(0, 0, 0, bits));
      await expect(assertFinite(new Map([['w', bad]]))).rejects.toThrow(/NaN or infinite in tensor "w" at \[1, 1\]/);
    }
  });

  it('finds one value in the second piece of a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'finite-'));
    const path = join(folder, 'x.safetensors');
    const data = new Float32Array(2 ** 20 + 100);
    await writeSafetensors(path, [
      ['w', float32([data.length / 4, 4], data)],
      ['i', tensor('int64', [1], BigInt64Array.of(-1n))],
    ]);
    await assertFinite((await openSafetensors(path)).tensors);
    data[2 ** 20 + 5] = Number.NEGATIVE_INFINITY;
    await writeSafetensors(path, [['w', float32([data.length / 4, 4], data)]]);
    await expect(assertFinite((await openSafetensors(path)).tensors)).rejects.toThrow(
      `${path} has a value that is NaN or infinite in tensor "w" at [${2 ** 18 + 1}, 1]`,
    );
    await rm(folder, { recursive: true });
  });
});
