import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { Engine } from '../../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { float32, type Tensor } from '../../../src/graph/tensor.ts';
import { cosine } from '../../../src/metrics/cosine.ts';
import { gemma2HiddenStates, type Gemma2Request } from '../../../src/models/gemma2-hidden-states.ts';
import type { Gemma2 } from '../../../src/models/gemma2.ts';
import { quantizeGemma2 } from '../../../src/models/quantize-gemma2.ts';
import { readWeight } from '../../../src/models/quantize-matrix.ts';
import { quantizedLimit } from '../../../src/models/quantized-limit.ts';
import { randomGemma2 } from '../../random-gemma2.ts';

const engine = createOnnxruntimeEngine({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), 'gemma2-int8-'));
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const limit = await quantizedLimit(engine);
const inEightBits = (model: Gemma2, name: string): Promise<Gemma2> =>
  quantizeGemma2(model, { file: join(folder, name), modelKey: name, limit });

async function statesOf(
  model: Gemma2,
  requests: readonly Gemma2Request[],
  computes: Engine = engine,
  options = {},
): Promise<Tensor[]> {
  const states: Tensor[] = [];
  for await (const { index, hiddenStates } of gemma2HiddenStates(computes, model, requests, options)) {
    states[index] = hiddenStates;
  }
  return states;
}

/** So many tokens of a sequence of their own. */
function sequence(length: number, start = 0): Gemma2Request {
  const inputIds = Array.from({ length }, (_, i) => (start + i * i) % 24);
  return { inputIds, positions: inputIds.map((_, i) => i) };
}

/** A copy whose tensor of that name is changed. */
async function withWeight(model: Gemma2, name: string, change: (x: number, i: number) => number): Promise<Gemma2> {
  const shape = model.weights.get(name)?.shape ?? [];
  const values = (await readWeight(model.weights, name)).map(change);
  return { ...model, weights: new Map([...model.weights, [name, float32(shape, values)]]) };
}

describe('quantizeGemma2', () => {
  const plain = randomGemma2(64);

  it('rounds each output channel to its nearest steps', async () => {
    const { weights } = await inEightBits(plain, 'plain');
    const name = 'layers.1.mlp.up_proj.weight';
    const [exact, steps, scales] = [
      await readWeight(weights, name),
      await readWeight(weights, `${name}.int8`),
      await readWeight(weights, `${name}.int8_scales`),
    ];
    for (const [i, value] of exact.entries()) {
      const [out, inner] = [Math.floor(i / 64), i % 64];
      const scale = scales[out] ?? 0;
      expect(Math.abs((steps[inner * 64 + out] ?? 0) * scale - value)).toBeLessThanOrEqual(scale * 0.501);
    }
    expect(Math.max(...steps.map(Math.abs))).toBe(limit);
  });

  it('makes the file once', async () => {
    await inEightBits(plain, 'once');
    const made = (await stat(join(folder, 'once'))).mtimeMs;
    await inEightBits(plain, 'once');
    expect((await stat(join(folder, 'once'))).mtimeMs).toBe(made);
  });

  it('gives nearly the same hidden states, and with channels 30 times as large as the others', async () => {
    const channels = [3, 17, 40];
    const outliers = await withWeight(plain, 'embed_tokens.weight', (x, i) => (channels.includes(i % 64) ? 30 * x : x));
    for (const [name, model, bound] of [
      ['plain', plain, 0.999],
      ['outliers', outliers, 0.998],
    ] as const) {
      const [expected] = await statesOf(model, [sequence(40)]);
      const [got] = await statesOf(await inEightBits(model, name), [sequence(40)]);
      if (!(expected?.data instanceof Float32Array) || !(got?.data instanceof Float32Array)) throw new Error('states');
      expect(cosine(expected.data, got.data)).toBeGreaterThan(bound);
      expect(cosine(expected.data, got.data)).toBeLessThan(0.999999);
    }
  });

  it('gives a sequence the same states, bit for bit, whatever is computed with it', async () => {
    const model = await inEightBits(plain, 'plain');
    const requests = [1, 60, 130, 230, 90].map((length, i) => sequence(length, i));
    const twoThreads = createOnnxruntimeEngine({ threads: 2 });
    try {
      const together = await statesOf(model, requests);
      expect(await statesOf(model, requests, twoThreads)).toEqual(together);
      expect(await statesOf(model, requests, engine, { rowsPerPass: 300 })).toEqual(together);
      for (const [i, request] of requests.entries()) expect(await statesOf(model, [request])).toEqual([together[i]]);
    } finally {
      await twoThreads.close();
    }
  });

  it('names a tensor that holds NaN', async () => {
    const name = 'layers.0.self_attn.o_proj.weight';
    const broken = await withWeight(plain, name, (x, i) => (i === 5 ? Number.NaN : x));
    await expect(inEightBits(broken, 'broken')).rejects.toThrow(`in tensor "${name}" at [0, 5]`);
  });
});
