import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { compareAdapters } from '../../../src/export/compare-adapters.ts';
import { extractAdapter } from '../../../src/export/extract-adapter.ts';
import { mergedWeights, nativeWeights } from '../../../src/export/merged-weights.ts';
import { openTransformerWeights } from '../../../src/export/transformer-weights.ts';
import { writeSharded } from '../../../src/export/write-sharded.ts';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { openSafetensors, readTensor, type TensorLocation, writeSafetensors } from '../../../src/io/safetensors.ts';
import type { Adapter } from '../../../src/lora/adapter-file.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { lowRankSvd } from '../../../src/lora/low-rank-svd.ts';
import { resizeAdapter } from '../../../src/lora/resize-adapter.ts';
import { createTruncatedSvd } from '../../../src/lora/truncated-svd.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const pipeline = join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'plain', 'pipeline');
const engine = createOnnxruntimeEngine();
let folder: string;
let model: SanaTransformer;
let adapter: Adapter;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-extract-'));
  model = await smallTransformer('plain');
  const modules = smallAdapter(model, {
    rank: 3,
    targetModules: ['attn1.to_q', 'to_k', 'conv_point', 'patch_embed.proj'],
  });
  const start = await createAdapter(modules, model.weights, createRandom(1));
  adapter = { modules, tensors: asTrained(start, createRandom(2)) };
  const merged = mergedWeights(model.weights, adapter);
  const transformer = join(folder, 'merged', 'transformer');
  await cp(join(pipeline, 'transformer', 'config.json'), join(transformer, 'config.json'));
  await writeSharded(transformer, merged);
  await writeSafetensors(join(folder, 'merged.safetensors'), nativeWeights(merged));
});

afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

describe('extractAdapter', () => {
  for (const name of ['merged', 'merged/transformer', 'merged.safetensors']) {
    it(`finds the adapter that was merged again: ${name}`, async () => {
      const [before, after] = [
        await openTransformerWeights(pipeline),
        await openTransformerWeights(join(folder, name)),
      ];
      const found = await extractAdapter(before, after, { engine, rank: 3 });
      expect([...found.adapter.modules.keys()].sort()).toEqual([...adapter.modules.keys()].sort());
      expect(compareAdapters(adapter, found.adapter).error).toBeLessThan(1e-4);
      expect(found.error).toBeLessThan(1e-4);
      expect([...found.errors.keys()]).toEqual(['block 0', 'block 1', 'other']);
      expect(found.leftOut).toEqual([]);
    });
  }

  it('says how much a lower rank loses, which is what it must', async () => {
    const [before, after] = [
      await openTransformerWeights(pipeline),
      await openTransformerWeights(join(folder, 'merged')),
    ];
    const found = await extractAdapter(before, after, { engine, rank: 1 });
    expect(found.error).toBeCloseTo(resizeAdapter(adapter, 1).error, 4);
    expect([...found.errors.values()].every((error) => error > 0.1 && error < 1)).toBe(true);
  });

  it('names what differs and no adapter holds', async () => {
    const { tensors } = await openSafetensors(join(folder, 'merged.safetensors'));
    const bias = tensors.get('blocks.1.attn.proj.bias');
    if (!bias) throw new Error('a bias expected');
    const other = join(folder, 'other.safetensors');
    const moved = float32(
      bias.shape,
      toFloat32(await readTensor(bias)).map((x) => x + 1),
    );
    await writeSafetensors(
      other,
      new Map<string, TensorLocation | Tensor>([...tensors, ['blocks.1.attn.proj.bias', moved]]),
    );
    const found = await extractAdapter(await openTransformerWeights(pipeline), await openTransformerWeights(other), {
      engine,
      rank: 3,
    });
    expect(found.leftOut).toEqual(['transformer_blocks.1.attn1.to_out.0.bias']);
    const same = await openTransformerWeights(other);
    await expect(extractAdapter(same, same, { engine, rank: 3 })).rejects.toThrow('the same weights');
  });

  it('refuses models of another kind, and files that are none', async () => {
    const affine = join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'affine', 'pipeline');
    const [one, two] = [await openTransformerWeights(pipeline), await openTransformerWeights(affine)];
    await expect(extractAdapter(one, two, { engine, rank: 3 })).rejects.toThrow('not of one kind');
    await expect(openTransformerWeights('model.pth')).rejects.toThrow('model.pth');
    const strange = join(folder, 'strange.safetensors');
    await writeSafetensors(strange, [['a', float32([1], [1])]]);
    await expect(openTransformerWeights(strange)).rejects.toThrow('no transformer of Sana');
  });
});

describe('createTruncatedSvd', () => {
  it('finds the largest singular values of a matrix that falls off slowly, as the whole decomposition has them', async () => {
    const [rows, columns] = [90, 70];
    const random = createRandom('slow');
    const data = random.normals(rows * columns).map((x, i) => x / Math.sqrt(1 + (i % columns)));
    const unit = Float32Array.from({ length: columns ** 2 }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
    const exact = lowRankSvd(data, unit, columns);
    const svd = await createTruncatedSvd(engine);
    for (const rank of [1, 8, 70]) {
      const found = await svd.decompose({ rows, columns, data }, rank, random);
      expect(found.values).toHaveLength(rank);
      const energy = (values: Float64Array): number => values.reduce((sum, x) => sum + x * x, 0);
      expect(energy(found.values) / energy(exact.values.slice(0, rank))).toBeCloseTo(1, 3);
    }
    await svd.dispose();
  });
});
