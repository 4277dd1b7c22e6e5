import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import { attentionBias, sincosPositions, sinusoidalEmbedding } from '../../../src/models/sana-conditioning.ts';

describe('sinusoidalEmbedding', () => {
  it('has cosines first, frequencies from 1 down to almost 1 / 10000', () => {
    const { shape, data } = sinusoidalEmbedding([0, 2]);
    expect(shape).toEqual([2, 256]);
    expect([data[0], data[127], data[128], data[255]]).toEqual([1, 1, 0, 0]);
    expect([data[256], data[384]]).toBeAllclose([Math.cos(2), Math.sin(2)], { rtol: 1e-6 });
    expect([data[256 + 127], data[256 + 255]]).toBeAllclose(
      [Math.cos(2 * 10000 ** (-127 / 128)), Math.sin(2 * 10000 ** (-127 / 128))],
      { rtol: 1e-5 },
    );
  });
});

describe('attentionBias', () => {
  it('hides padding, whatever dtype the mask has', () => {
    const expected = float32([2, 1, 1, 2], [0, -10000, -10000, 0]);
    expect(attentionBias(float32([2, 2], [1, 0, 0, 1]))).toBeAllclose(expected);
    expect(attentionBias(tensor('int64', [2, 2], BigInt64Array.of(1n, 0n, 0n, 1n)))).toBeAllclose(expected);
  });
});

describe('sincosPositions', async () => {
  // Written by tools/goldens/sana.py with diffusers.
  const json: unknown = JSON.parse(
    await readFile(path.join(import.meta.dirname, 'goldens', 'sana-positions.json'), 'utf8'),
  );
  const golden = z
    .array(
      z.object({
        channels: z.number(),
        height: z.number(),
        width: z.number(),
        baseSize: z.number(),
        interpolationScale: z.number(),
        expected: z.array(z.number()),
      }),
    )
    .parse(json);
  it.each(golden)('is what diffusers has for $height x $width of $channels', (entry) => {
    const { channels, height, width, expected } = entry;
    expect(sincosPositions(channels, height, width, entry)).toBeAllclose(
      float32([1, height * width, channels], expected),
      { rtol: 1e-6, atol: 1e-6 },
    );
  });
});
