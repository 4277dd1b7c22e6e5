import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import { exportAdapter } from '../../../src/export/export-adapter.ts';
import { mergedWeights } from '../../../src/export/merged-weights.ts';
import { writeSharded } from '../../../src/export/write-sharded.ts';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { openCheckpoint } from '../../../src/io/checkpoint.ts';
import { openSafetensors, readTensor } from '../../../src/io/safetensors.ts';
import type { AdapterConfig } from '../../../src/lora/adapter-config.ts';
import type { Adapter } from '../../../src/lora/adapter-file.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const pipeline = join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'plain', 'pipeline');
const about = { title: 'test' };

let folder: string;
let model: SanaTransformer;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-merged-'));
  model = await smallTransformer('plain');
  engine = createOnnxruntimeEngine();
});

afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function trained(change: Partial<AdapterConfig> = {}): Promise<Adapter> {
  const modules = smallAdapter(model, change);
  const start = await createAdapter(modules, model.weights, createRandom(1));
  return { modules, tensors: asTrained(start, createRandom(2)) };
}

describe('exportAdapter as a merged model', () => {
  for (const type of ['lora', 'dora', 'lokr', 'loha'] as const) {
    it(`writes a ${type} into a pipeline that predicts the same`, async () => {
      const output = join(folder, type);
      const base = { folder: pipeline, model, engine };
      const result = await exportAdapter(await trained({ type, alpha: 2 }), { format: 'merged', output, about, base });
      expect(result.forwardError).toBeLessThan(1e-5);
      expect((await readdir(output)).sort()).toEqual((await readdir(pipeline)).sort());
      expect(await readFile(join(output, 'vae', 'config.json'))).toEqual(
        await readFile(join(pipeline, 'vae', 'config.json')),
      );
    });
  }

  it("writes one file of NVlabs' names, q, k and v stacked", async () => {
    const output = join(folder, 'native.safetensors');
    const base = { folder: pipeline, model, engine };
    const adapter = await trained();
    const options = { format: 'merged', layout: 'native', dtype: 'bfloat16', output, about, base } as const;
    const { forwardError } = await exportAdapter(adapter, options);
    expect(forwardError).toBeLessThan(0.05);
    const { tensors } = await openSafetensors(output);
    const qkv = tensors.get('blocks.1.attn.qkv.weight');
    expect(qkv).toMatchObject({ dtype: 'bfloat16', shape: [96, 32] });
    expect(tensors.get('blocks.0.mlp.inverted_conv.conv.weight')?.shape).toEqual([160, 32, 1, 1]);
    expect(tensors.has('final_layer.scale_shift_table')).toBe(true);
    expect([...tensors.keys()].filter((name) => name.includes('transformer_blocks'))).toEqual([]);
    const k = mergedWeights(model.weights, adapter).get('transformer_blocks.1.attn1.to_k.weight');
    const expected = k && 'read' in k ? toFloat32(await k.read()) : [];
    const found = qkv ? toFloat32(await readTensor(qkv)).subarray(32 * 32, 2 * 32 * 32) : [];
    expect([...found]).toHaveLength(1024);
    expect(Float32Array.from(found)).toBeAllclose(Float32Array.from(expected), { rtol: 2 ** -8 });
  });

  it('refuses to merge without a model, and to write into a folder that holds something', async () => {
    const adapter = await trained();
    const output = join(folder, 'taken');
    await expect(exportAdapter(adapter, { format: 'merged', output, about })).rejects.toThrow('--model');
    await cp(join(pipeline, 'scheduler'), output, { recursive: true });
    const base = { folder: pipeline, model, engine };
    await expect(exportAdapter(adapter, { format: 'merged', output, about, base })).rejects.toThrow('not empty');
    expect(await readdir(output)).toEqual(['scheduler_config.json']);
  });

  it('leaves the file that was there when a number does not fit', async () => {
    const output = join(folder, 'kept.safetensors');
    await writeFile(output, 'before');
    const base = { folder: pipeline, model, engine };
    const options = { format: 'merged', layout: 'native', dtype: 'float16', scale: 1e9, output, about, base } as const;
    await expect(exportAdapter(await trained(), options)).rejects.toThrow(/cannot hold/);
    expect(await readFile(output, 'utf8')).toBe('before');
    expect((await readdir(folder)).filter((name) => name.includes('kept'))).toEqual(['kept.safetensors']);
  });
});

describe('writeSharded', () => {
  it('splits what is larger than a shard, with an index that leads to every tensor', async () => {
    const output = join(folder, 'shards');
    await cp(join(pipeline, 'transformer', 'config.json'), join(output, 'config.json'));
    await writeSharded(output, model.weights, { mostBytes: 50_000 });
    const files = await readdir(output);
    expect(files.filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(2);
    const checkpoint = await openCheckpoint(output, { baseName: 'diffusion_pytorch_model' });
    expect([...checkpoint.tensors.keys()].sort()).toEqual([...model.weights.keys()].sort());
  });
});
