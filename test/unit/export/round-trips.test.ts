import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Engine } from '../../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { compareAdapters } from '../../../src/export/compare-adapters.ts';
import { exportAdapter } from '../../../src/export/export-adapter.ts';
import type { ExportFormat } from '../../../src/export/format-names.ts';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { isTensorLocation, openSafetensors, readTensor } from '../../../src/io/safetensors.ts';
import type { AdapterConfig } from '../../../src/lora/adapter-config.ts';
import { type Adapter, writeAdapter } from '../../../src/lora/adapter-file.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { readAnyAdapter } from '../../../src/lora/formats/read-any-adapter.ts';
import { addDelta, inputsOf, mergeDelta, moduleDelta, rowNorms } from '../../../src/lora/module-delta.ts';
import type { SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { sanaModules } from '../../../src/models/sana-transformer-config.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, smallAdapter, smallTransformer } from '../../small-transformer.ts';

let folder: string;
let model: SanaTransformer;
let engine: Engine;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-round-trips-'));
  model = await smallTransformer('plain');
  engine = createOnnxruntimeEngine();
});

afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

async function trained(change: Partial<AdapterConfig>): Promise<Adapter> {
  const modules = smallAdapter(model, change);
  const start = await createAdapter(modules, model.weights, createRandom(1).fork('start'));
  return { modules, tensors: asTrained(start, createRandom(2)) };
}

/** B A of every module, as one list. */
function products(adapter: Adapter): Float32Array {
  const all: number[] = [];
  for (const name of sanaModules(model.config).keys()) {
    if (!adapter.modules.has(name)) continue;
    const delta = moduleDelta(adapter, name);
    const product = new Float32Array(inputsOf(delta) * delta.module.outFeatures);
    addDelta(product, delta);
    all.push(...product, ...(delta.magnitude ?? []));
  }
  return Float32Array.from(all);
}

const formats = ['diffusers', 'comfyui', 'kohya', 'lycoris'] as const satisfies readonly ExportFormat[];
const kinds: Readonly<Record<string, Partial<AdapterConfig>>> = {
  'LoRA of all layers, scale 1.5': { alpha: 6 },
  'rank-stabilised LoRA': { rslora: true, alpha: 3 },
  'LoRA of q and cross-attention v alone': { targetModules: ['attn1.to_q', 'attn2.to_v'] },
  'LoRA with patterns': { rankPattern: { 'attn1.to_k': 2, conv_point: 7 }, alphaPattern: { to_v: 0.5 } },
  DoRA: { type: 'dora', alpha: 2 },
  'LoKr, its larger matrices factored': { type: 'lokr', rank: 2, alpha: 3, lokr: { factor: 4 } },
  'LoKr of whole matrices': { type: 'lokr', lokr: { fullMatrix: true } },
  LoHa: { type: 'loha', rank: 3, alpha: 6 },
  'LoRA outside the blocks': { targetModules: ['patch_embed.proj', 'linear_1', 'linear_2', 'linear', 'proj_out'] },
};

describe('exportAdapter and readAnyAdapter', () => {
  for (const [kind, change] of Object.entries(kinds)) {
    it(`bring a ${kind} through every pair of formats with the same products`, async () => {
      const original = await trained(change);
      const expected = products(original);
      // ComfyUI's DoRA is one of the model's own rows.
      const options = { about: { title: 'test' }, ...(kind === 'DoRA' && { base: { folder, model, engine } }) };
      for (const first of formats) {
        for (const second of formats) {
          const one = join(folder, `${first}.safetensors`);
          const two = join(folder, `${first}-${second}.safetensors`);
          await exportAdapter(original, { format: first, output: one, ...options });
          const between = await readAnyAdapter(one, sanaModules(model.config));
          await exportAdapter(between, { format: second, output: two, ...options });
          const back = await readAnyAdapter(two, sanaModules(model.config));
          expect([...back.modules.keys()], `${first} to ${second}`).toEqual([...original.modules.keys()]);
          expect(products(back), `${first} to ${second}`).toBeAllclose(expected, { rtol: 1e-6, atol: 1e-7 });
        }
      }
    });
  }

  it("divide ComfyUI's scales of a DoRA by what ComfyUI multiplies them by", async () => {
    const original = await trained({ type: 'dora', alpha: 2, targetModules: ['attn1.to_q', 'conv_point'] });
    const output = join(folder, 'comfyui-dora.safetensors');
    const about = { title: 'test' };
    await expect(exportAdapter(original, { format: 'comfyui', output, about })).rejects.toThrow('--model');
    await exportAdapter(original, { format: 'comfyui', output, about, base: { folder, model, engine } });

    // comfy/weight_adapter/base.py, weight_decompose: rows of W + B A times dora_scale / ||W||.
    const name = 'transformer_blocks.1.ff.conv_point';
    const { tensors } = await openSafetensors(output);
    const read = async (part: string): Promise<Float32Array> => {
      const location = tensors.get(`diffusion_model.blocks.1.mlp.point_conv.conv.${part}`);
      return location ? toFloat32(await readTensor(location)) : new Float32Array();
    };
    const scales = await read('dora_scale');
    const found = model.weights.get(`${name}.weight`);
    if (!found) throw new Error('no weight');
    const weight = toFloat32(isTensorLocation(found) ? await readTensor(found) : found).slice();
    const lengths = rowNorms(weight, scales.length);
    const wanted = mergeDelta(weight.slice(), moduleDelta(original, name));
    addDelta(weight, { ...moduleDelta(original, name) });
    const width = weight.length / scales.length;
    const got = weight.map((x, i) => {
      const row = Math.floor(i / width);
      return (x * (scales[row] ?? 0)) / (lengths[row] ?? 0);
    });
    expect(got).toBeAllclose(wanted, { rtol: 1e-5, atol: 1e-7 });
  });

  it('finds out the model by the shapes', async () => {
    const original = await trained({ alpha: 6 });
    for (const format of formats) {
      const output = join(folder, `unsized-${format}.safetensors`);
      await exportAdapter(original, { format, output, about: { title: 'test' } });
      const back = await readAnyAdapter(output);
      expect(back.base).toEqual({ width: 32, layers: 2 });
      expect(products(back)).toBeAllclose(products(original), { rtol: 1e-6, atol: 1e-7 });
    }
  });

  it('multiply the scale in, and fill up ranks, for versions of diffusers that ignore alpha', async () => {
    const original = await trained({ alpha: 6, rankPattern: { 'attn1.to_k': 2 } });
    const output = join(folder, 'folded.safetensors');
    await exportAdapter(original, { format: 'diffusers', output, foldAlpha: true, about: { title: 'test' } });
    const back = await readAnyAdapter(output);
    expect(new Set([...back.modules.values()].map(({ rank, scale }) => `${rank} ${scale}`))).toEqual(new Set(['4 1']));
    expect(products(back)).toBeAllclose(products(original), { rtol: 1e-6, atol: 1e-7 });
  });

  it('round to the dtype and no further', async () => {
    const original = await trained({});
    for (const [dtype, most] of [
      ['bfloat16', 2 ** -7],
      ['float16', 2 ** -10],
    ] as const) {
      for (const format of formats) {
        const output = join(folder, `${dtype}-${format}.safetensors`);
        const { error } = await exportAdapter(original, { format, output, dtype, about: { title: 'test' } });
        expect(error).toBeGreaterThan(0);
        expect(error).toBeLessThan(most);
      }
    }
  });

  it('scale the effect', async () => {
    const original = await trained({ alpha: 6 });
    const output = join(folder, 'scaled.safetensors');
    await exportAdapter(original, { format: 'comfyui', output, scale: 0.5, about: { title: 'test' } });
    expect(products(await readAnyAdapter(output))).toBeAllclose(
      products(original).map((x) => x / 2),
      { rtol: 1e-6, atol: 1e-7 },
    );
  });

  it('resize to the rank that is enough without an error, and say the error of a lower one', async () => {
    const original = await trained({ rank: 4 });
    const wide = join(folder, 'wide.safetensors');
    await writeAdapter(wide, padded(original));
    const read = await readAnyAdapter(wide);
    const output = join(folder, 'resized.safetensors');
    const same = await exportAdapter(read, { format: 'diffusers', output, rank: 4, about: { title: 'test' } });
    expect(same.resizeError).toBeLessThan(1e-6);
    expect(compareAdapters(original, await readAnyAdapter(output)).error).toBeLessThan(1e-5);
    const lower = await exportAdapter(read, { format: 'diffusers', output, rank: 2, about: { title: 'test' } });
    expect(lower.resizeError).toBeGreaterThan(0.1);
    expect(lower.resizeError).toBeLessThan(0.9);
  });
});

/** The same adapter at twice the rank, the added rows being copies at half the strength. */
function padded({ modules, tensors }: Adapter): Adapter {
  const wide = new Map([...modules].map(([name, module]) => [name, { ...module, rank: 8, alpha: 8 }]));
  return {
    modules: wide,
    tensors: new Map(
      [...tensors].map(([name, value]) => {
        const data = Float32Array.from(value.data, Number);
        const [rows = 1, columns = 1, ...rest] = value.shape;
        if (name.endsWith('lora_A.weight')) {
          return [name, { ...value, shape: [2 * rows, columns, ...rest], data: Float32Array.of(...data, ...data) }];
        }
        const out = new Float32Array(2 * data.length);
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < 2 * columns; j++) out[2 * columns * i + j] = (data[columns * i + (j % columns)] ?? 0) / 2;
        }
        return [name, { ...value, shape: [rows, 2 * columns, ...rest], data: out }];
      }),
    ),
  };
}
