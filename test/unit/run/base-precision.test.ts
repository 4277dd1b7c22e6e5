import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createTfjsEngine } from '../../../src/engine/tfjs.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import type { BasePrecision } from '../../../src/models/precisions.ts';
import { inPrecision } from '../../../src/run/base-precision.ts';
import { smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine({ threads: 1 });
const folder = await mkdtemp(join(tmpdir(), 'sana-precision-'));
const exact = await smallTransformer('plain');
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

/** The model, and what was told on the way to it. */
async function run(
  precision: BasePrecision,
  change: Partial<Parameters<typeof inPrecision>[1]> = {},
): Promise<{ readonly model: SanaTransformer; readonly told: readonly unknown[] }> {
  const events = inPrecision(exact, { precision, engine, cache: { folder }, modelKey: 'a', ...change });
  const told: unknown[] = [];
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) return { model: value, told };
    told.push(value);
  }
}

describe('inPrecision', () => {
  it('leaves fp32 as it is', async () => {
    expect(await run('fp32')).toEqual({ model: exact, told: [] });
    expect(await readdir(folder)).toEqual([]);
  });

  it('keeps 8-bit weights in the cache, one file a model', async () => {
    const { model, told } = await run('int8');
    expect(told).toMatchObject([
      { stage: 'cache', done: 0 },
      { stage: 'cache', done: 1 },
    ]);
    expect(model.weights.get('transformer_blocks.0.attn1.to_q.weight.int8')).toMatchObject({ dtype: 'int8' });
    await run('int8');
    expect(await readdir(join(folder, 'int8'))).toHaveLength(1);
    await run('int8', { modelKey: 'b' });
    expect(await readdir(join(folder, 'int8'))).toHaveLength(2);
  });

  it('keeps 4-bit weights in the cache too, in a folder of their own', async () => {
    const { model, told } = await run('nf4');
    expect(told).toMatchObject([
      { stage: 'cache', done: 0, what: 'set of 4-bit weights' },
      { stage: 'cache', done: 1 },
    ]);
    expect(model.weights.get('transformer_blocks.0.attn1.to_q.weight.nf4')).toMatchObject({ dtype: 'uint8' });
    await run('nf4');
    expect(await readdir(join(folder, 'nf4'))).toHaveLength(1);
    await run('nf4', { modelKey: 'b' });
    expect(await readdir(join(folder, 'nf4'))).toHaveLength(2);
  });

  it('refuses an engine that does not read 4-bit weights', async () => {
    await expect(run('nf4', { engine: createTfjsEngine() })).rejects.toThrow(
      /^4-bit weights are read by onnxruntime on the CPU alone, and the engine is tfjs.*; use the engine cpu/,
    );
  });

  it('refuses an engine that has no such products', async () => {
    await expect(run('int8', { engine: createTfjsEngine() })).rejects.toThrow(
      /^8-bit products are made by onnxruntime on the CPU alone, and the engine is tfjs.*; use the engine cpu/,
    );
  });
});
