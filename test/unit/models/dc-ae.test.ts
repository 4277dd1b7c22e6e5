import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { elementCount, float32, fromFloat32, tensor, toFloat32, type Tensor } from '../../../src/graph/tensor.ts';
import { openSafetensors, readTensor, writeSafetensors, type Weights } from '../../../src/io/safetensors.ts';
import { parseDcAeConfig } from '../../../src/models/dc-ae-config.ts';
import { buildDcAe, createDcAe, loadDcAe, type DcAeOptions } from '../../../src/models/dc-ae.ts';

const engine = createOnnxruntimeEngine();
const folders: string[] = [];
afterAll(async () => {
  await engine.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

// Written by tools/goldens/dc_ae.py with diffusers.
async function openGolden(
  name: string,
): Promise<{ config: Record<string, unknown>; tensors: Weights; weights: Weights }> {
  const file = path.join(import.meta.dirname, 'goldens', `dc-ae-${name}.safetensors`);
  const { metadata, tensors } = await openSafetensors(file);
  const config = JSON.parse(metadata['config'] ?? '') as Record<string, unknown>;
  const weights = [...tensors].flatMap(([key, value]) =>
    key.startsWith('weights.') ? [[key.slice(8), value] as const] : [],
  );
  return { config, tensors, weights: new Map(weights) };
}

async function read(weights: Weights, name: string): Promise<Tensor> {
  const found = weights.get(name);
  if (!found) throw new Error(`the golden has no ${name}`);
  return 'data' in found ? found : readTensor(found);
}

async function expectGolden(name: string, pictures: number, options: DcAeOptions = {}): Promise<void> {
  const { config, tensors, weights } = await openGolden(name);
  const dcAe = createDcAe(engine, buildDcAe(parseDcAeConfig(config, 'config.json'), weights), options);
  for (let i = 0; i < pictures; i++) {
    const latents = await read(tensors, `${i}.latents`);
    expect(await dcAe.encode(await read(tensors, `${i}.images`))).toBeAllclose(latents, { rtol: 1e-4, atol: 1e-5 });
    expect(await dcAe.decode(latents)).toBeAllclose(await read(tensors, `${i}.decoded`), { rtol: 1e-4, atol: 1e-5 });
  }
  await dcAe.dispose();
}

describe('createDcAe', () => {
  it('computes what diffusers does with batch norms, every activation and no shortcuts at the latents', () =>
    expectGolden('norms', 1));

  it('computes what diffusers does for every ratio of channels at a shortcut', () => expectGolden('ratios', 1));

  it('tiles pictures above maxPixels as diffusers does, and computes batches in parts', () =>
    expectGolden('tiled', 3, { tileSize: 16, tileStride: 12, maxPixels: 0 }));

  it('computes in float32 from weights stored in 16 bits', async () => {
    const { config, tensors, weights } = await openGolden('ratios');
    const narrow = new Map<string, Tensor>();
    const wide = new Map<string, Tensor>();
    for (const name of weights.keys()) {
      const value = await read(weights, name);
      const rounded = fromFloat32('bfloat16', value.shape, toFloat32(value));
      narrow.set(name, rounded);
      wide.set(name, float32(value.shape, toFloat32(rounded)));
    }
    const images = await read(tensors, '0.images');
    const [a, b] = await Promise.all(
      [narrow, wide].map(async (rounded) => {
        const dcAe = createDcAe(engine, buildDcAe(parseDcAeConfig(config, 'config.json'), rounded));
        const latents = await dcAe.encode(images);
        await dcAe.dispose();
        return latents;
      }),
    );
    expect(a).toBeAllclose(b ?? [], { rtol: 1e-4, atol: 1e-5 });
  });

  it('says what pictures, latents and tiles may be', async () => {
    const { config, weights } = await openGolden('tiled');
    const model = buildDcAe(parseDcAeConfig(config, 'config.json'), weights);
    const dcAe = createDcAe(engine, model);
    const blank = (...shape: number[]): Tensor => float32(shape, new Float32Array(elementCount(shape)));
    expect([dcAe.spatialCompression, dcAe.scalingFactor]).toEqual([2, 0.5]);
    await expect(dcAe.encode(blank(1, 3, 16, 17))).rejects.toThrow(
      /^encode: .* multiples of 2 expected, got float32 \[1, 3, 16, 17\]$/,
    );
    await expect(dcAe.decode(blank(1, 3, 8, 8))).rejects.toThrow(/^decode: float32 \[B, 4, H, W\] expected/);
    expect(() => createDcAe(engine, model, { tileSize: 15 })).toThrow('Tiles of 15 px every 448 px do not fit');
  });
});

describe('loadDcAe', () => {
  type Change = { config?: Record<string, unknown>; rename?: [string, string]; replace?: [string, Tensor] };

  /** The error of loading the golden's model with one thing changed, without the folder's name. */
  async function problemOf({ config: changed = {}, rename, replace }: Change): Promise<string> {
    const { config, weights } = await openGolden('norms');
    const folder = await mkdtemp(path.join(tmpdir(), 'dc-ae-'));
    folders.push(folder);
    await writeFile(
      path.join(folder, 'config.json'),
      JSON.stringify({ _class_name: 'AutoencoderDC', ...config, ...changed }),
    );
    const kept = new Map<string, Tensor>();
    for (const name of weights.keys()) {
      const value = replace?.[0] === name ? replace[1] : await read(weights, name);
      kept.set(rename?.[0] === name ? rename[1] : name, value);
    }
    await writeSafetensors(path.join(folder, 'diffusion_pytorch_model.safetensors'), kept);
    return loadDcAe(folder).then(
      () => 'none',
      (error: Error) => error.message.replace(folder, '.').replaceAll(path.sep, '/'),
    );
  }

  it('takes a model that is whole', async () => {
    expect(await problemOf({})).toBe('none');
  });

  it('refuses another class', async () => {
    expect(await problemOf({ config: { _class_name: 'AutoencoderKL' } })).toMatch(
      /^\.\/config\.json is of "AutoencoderKL"; expected AutoencoderDC/,
    );
  });

  it('refuses tensors that are missing, unknown, of another shape or not finite', async () => {
    const file = String.raw`^\./diffusion_pytorch_model\.safetensors has `;
    const bias = 'encoder.conv_out.bias';
    expect(await problemOf({ rename: [bias, 'encoder.conv_out.b'] })).toMatch(
      new RegExp(`${file}no tensor "encoder.conv_out.bias", expected with shape \\[6\\]`),
    );
    // A count that no batch norm goes with.
    const count = 'decoder.up_blocks.1.1.attn.norm_out.num_batches_tracked';
    expect(await problemOf({ rename: [count, 'decoder.norm_out.num_batches_tracked'] })).toMatch(
      new RegExp(`${file}tensors that the model does not know: "decoder.norm_out.num_batches_tracked"`),
    );
    expect(await problemOf({ replace: [bias, float32([2], [0, 0])] })).toMatch(
      new RegExp(`${file}tensor "encoder.conv_out.bias" with shape \\[2\\], expected \\[6\\]`),
    );
    const nan = tensor('float32', [6], new Float32Array(6).fill(Number.NaN));
    expect(await problemOf({ replace: [bias, nan] })).toMatch(
      new RegExp(`${file}a value that is NaN .* "encoder.conv_out.bias" at \\[0\\]`),
    );
  });
});
