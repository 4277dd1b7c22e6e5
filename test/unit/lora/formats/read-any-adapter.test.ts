import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { frontendVerdicts } from '../../../../src/export/frontends.ts';
import { float32, type Tensor } from '../../../../src/graph/tensor.ts';
import { writeSafetensors } from '../../../../src/io/safetensors.ts';
import { type ImportedAdapter, readAnyAdapter } from '../../../../src/lora/formats/read-any-adapter.ts';
import { addDelta, inputsOf, moduleDelta } from '../../../../src/lora/module-delta.ts';
import { parseSanaTransformerConfig, sanaModules } from '../../../../src/models/sana-transformer-config.ts';
import { createRandom } from '../../../../src/random.ts';

// Width 4, so that everything can be looked at; the feed-forward layer has 10 channels.
const width = 4;
const modules = sanaModules(
  parseSanaTransformerConfig(
    {
      num_attention_heads: 1,
      attention_head_dim: width,
      num_cross_attention_heads: 1,
      cross_attention_head_dim: width,
      cross_attention_dim: width,
      num_layers: 2,
    },
    'test',
  ),
);
const q = 'transformer_blocks.0.attn1.to_q';

let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-formats-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function written(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  const path = join(folder, `${files++}.safetensors`);
  await writeSafetensors(path, Object.entries(tensors), { metadata });
  return path;
}

async function read(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<ImportedAdapter> {
  return await readAnyAdapter(await written(tensors, metadata), modules);
}

function draw(name: string, ...shape: number[]): Tensor {
  return float32(shape, createRandom(name).normals(shape.reduce((a, b) => a * b, 1)));
}

/** What an adapter adds to a module's weight, row by row. */
function added(adapter: ImportedAdapter, name: string): Float32Array {
  const delta = moduleDelta(adapter, name);
  const out = new Float32Array(inputsOf(delta) * delta.module.outFeatures);
  addDelta(out, delta);
  return out;
}

/** X Y of matrices given row by row. */
function multiply(x: Tensor, y: Tensor): number[] {
  const [rows = 0, inner = 0] = x.shape;
  const [, columns = 0] = y.shape;
  return Array.from({ length: rows * columns }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      sum += Number(x.data[Math.floor(at / columns) * inner + k]) * Number(y.data[k * columns + (at % columns)]);
    }
    return sum;
  });
}

const a = draw('a', 2, width);
const b = draw('b', width, 2);

describe('readAnyAdapter', () => {
  const spellings: Readonly<Record<string, readonly [base: string, down: string, up: string]>> = {
    diffusers: [`transformer.${q}`, 'lora_A', 'lora_B'],
    unprefixed: [q, 'lora_down', 'lora_up'],
    peft: [`base_model.model.${q}`, 'lora_A', 'lora_B'],
    kohya: ['lora_unet_transformer_blocks_0_attn1_to_q', 'lora_down', 'lora_up'],
    lycoris: ['lycoris_transformer_blocks_0_attn1_to_q', 'lora_down', 'lora_up'],
  };
  for (const [spelling, [base, down, up]] of Object.entries(spellings)) {
    it(`reads ${spelling} names, with scale 1 where none is said`, async () => {
      const adapter = await read({ [`${base}.${down}.weight`]: a, [`${base}.${up}.weight`]: b });
      expect(adapter.spellings).toEqual([spelling]);
      expect([...adapter.modules.keys()]).toEqual([q]);
      expect(added(adapter, q)).toBeAllclose(multiply(b, a), { rtol: 1e-6, atol: 1e-7 });
    });
  }

  it('scales by alpha / rank', async () => {
    const base = 'lora_unet_transformer_blocks_0_attn1_to_q';
    const adapter = await read({
      [`${base}.lora_down.weight`]: a,
      [`${base}.lora_up.weight`]: b,
      [`${base}.alpha`]: float32([], [3]),
    });
    expect(adapter.modules.get(q)?.scale).toBe(1.5);
  });

  it("reads peft's folder with its config, rank-stabilised", async () => {
    const path = join(folder, 'peft');
    await mkdir(path);
    await writeSafetensors(
      join(path, 'adapter_model.safetensors'),
      Object.entries({ [`base_model.model.${q}.lora_A.weight`]: a, [`base_model.model.${q}.lora_B.weight`]: b }),
    );
    const config = { peft_type: 'LORA', r: 2, lora_alpha: 6, use_rslora: true, target_modules: ['to_q'], bias: 'none' };
    await writeFile(join(path, 'adapter_config.json'), JSON.stringify(config));
    const adapter = await readAnyAdapter(path, modules);
    expect(adapter.modules.get(q)?.scale).toBeCloseTo(6 / Math.sqrt(2), 10);
    await writeFile(join(path, 'adapter_config.json'), JSON.stringify({ ...config, r: 3 }));
    await expect(readAnyAdapter(path, modules)).rejects.toThrow('rank 3');
    await writeFile(join(path, 'adapter_config.json'), JSON.stringify({ ...config, peft_type: 'LOKR' }));
    await expect(readAnyAdapter(path, modules)).rejects.toThrow('"LOKR"');
  });

  for (const base of ['diffusion_model.blocks.1.attn.qkv', 'lora_unet_blocks_1_attn_qkv']) {
    it(`splits ${base} into q, k and v`, async () => {
      const stacked = draw('stacked', 3 * width, 2);
      const adapter = await read({ [`${base}.lora_down.weight`]: a, [`${base}.lora_up.weight`]: stacked });
      const product = multiply(stacked, a);
      for (const [i, part] of ['to_q', 'to_k', 'to_v'].entries()) {
        const name = `transformer_blocks.1.attn1.${part}`;
        expect(adapter.modules.get(name)?.rank).toBe(2);
        expect(added(adapter, name)).toBeAllclose(product.slice(i * 16, (i + 1) * 16), { rtol: 1e-6, atol: 1e-7 });
      }
    });
  }

  it('takes a block diagonal apart, and leaves out what has no block', async () => {
    const base = 'diffusion_model.blocks.0.attn.qkv';
    const data = new Float32Array(3 * width * 3);
    for (let i = 0; i < width; i++) data[3 * i] = i + 1; // q has the first column
    for (let i = 2 * width; i < 3 * width; i++) data.set([i, -i], 3 * i + 1); // v the others
    const adapter = await read({
      [`${base}.lora_A.weight`]: draw('down', 3, width),
      [`${base}.lora_B.weight`]: float32([3 * width, 3], data),
    });
    expect([...adapter.modules].map(([name, { rank }]) => [name.slice(-4), rank])).toEqual([
      ['to_q', 1],
      ['to_v', 2],
    ]);
  });

  it('reads LoKr as what it adds: the Kronecker product', async () => {
    const base = `lycoris_${q.replaceAll('.', '_')}`;
    const [w1, w2] = [draw('w1', 2, 2), draw('w2', 2, 2)];
    const kronecker = Array.from({ length: 16 }, (_, at) => {
      const [row, column] = [Math.floor(at / 4), at % 4];
      const outer = Number(w1.data[2 * Math.floor(row / 2) + Math.floor(column / 2)]);
      return outer * Number(w2.data[2 * (row % 2) + (column % 2)]);
    });
    // Nothing is of a low rank here, and alpha says nothing: LyCORIS has scale 1 then.
    const whole = await read({ [`${base}.lokr_w1`]: w1, [`${base}.lokr_w2`]: w2, [`${base}.alpha`]: float32([], [7]) });
    expect(whole.kinds).toEqual(['lokr']);
    expect(added(whole, q)).toBeAllclose(kronecker, { rtol: 1e-6, atol: 1e-7 });
    expect(whole.modules.get(q)?.lycoris).toMatchObject({ kind: 'lokr', one: { rank: null }, two: { rank: null } });
    expect(whole.notices).toEqual([]);

    const [left, right] = [draw('left', 2, 1), draw('right', 1, 2)];
    const low = await read({
      [`${base}.lokr_w1`]: float32([2, 2], [1, 0, 0, 1]),
      [`${base}.lokr_w2_a`]: left,
      [`${base}.lokr_w2_b`]: right,
      [`${base}.alpha`]: float32([], [3]),
    });
    const [p = 0, r = 0, s = 0, t = 0] = multiply(left, right).map((x) => 3 * x);
    expect(low.modules.get(q)).toMatchObject({ rank: 1, scale: 3 });
    expect(added(low, q)).toBeAllclose([p, r, 0, 0, s, t, 0, 0, 0, 0, p, r, 0, 0, s, t], { rtol: 1e-6, atol: 1e-7 });
  });

  for (const rank of [1, 2, 3]) {
    it(`reads LoHa of rank ${rank} as what it adds: the product element by element`, async () => {
      const parts = {
        hada_w1_a: draw('1a', width, rank),
        hada_w1_b: draw('1b', rank, width),
        hada_w2_a: draw('2a', width, rank),
        hada_w2_b: draw('2b', rank, width),
      };
      const named = Object.entries(parts).map(([part, value]) => [
        `lycoris_transformer_blocks_0_attn1_to_q.${part}`,
        value,
      ]);
      const adapter = await read({
        ...Object.fromEntries(named),
        'lycoris_transformer_blocks_0_attn1_to_q.alpha': float32([], [2 * rank]),
      });
      const second = multiply(parts.hada_w2_a, parts.hada_w2_b);
      const expected = multiply(parts.hada_w1_a, parts.hada_w1_b).map((x, i) => 2 * x * (second[i] ?? 0));
      expect(added(adapter, q)).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-6 });
    });
  }

  it("reads ComfyUI's dora_scale of rows, and refuses that of columns", async () => {
    const base = 'diffusion_model.blocks.0.attn.proj';
    const tensors = { [`${base}.lora_down.weight`]: a, [`${base}.lora_up.weight`]: b };
    const adapter = await read({ ...tensors, [`${base}.dora_scale`]: draw('m', width, 1) });
    expect(adapter.kinds).toEqual(['dora']);
    expect(adapter.modules.get('transformer_blocks.0.attn1.to_out.0')?.dora).toBe(true);
    // Somebody's magnitudes are not what ComfyUI takes them for.
    const verdicts = frontendVerdicts(adapter).filter(({ program }) => program.startsWith('ComfyUI'));
    expect(verdicts).toMatchObject([{ verdict: 'changed', reason: expect.stringContaining('--model') as string }]);
    await expect(read({ ...tensors, [`${base}.dora_scale`]: draw('m', 1, width) })).rejects.toThrow('columns');
  });

  it('takes convolutions as matrices too, and leaves out conv_depth and bundled embeddings with a notice', async () => {
    const conv = 'transformer.transformer_blocks.0.ff.conv_point';
    const adapter = await read({
      [`${conv}.lora_A.weight`]: draw('ca', 2, 10),
      [`${conv}.lora_B.weight`]: draw('cb', width, 2),
      'transformer.transformer_blocks.0.ff.conv_depth.lora_A.weight': draw('da', 2, 1, 3, 3),
      'lora_unet_blocks_1_mlp_depth_conv_conv.lora_up.weight': draw('db', 20, 2, 1, 1),
      'bundle_emb.dog.clip': draw('e', 1, 8),
    });
    expect(adapter.tensors.get(`${conv}.lora_A.weight`)?.shape).toEqual([2, 10, 1, 1]);
    expect(adapter.notices).toHaveLength(2);
  });

  it('lists what it does not know', async () => {
    const tensors = { [`transformer.${q}.lora_A.weight`]: a, [`transformer.${q}.lora_B.weight`]: b };
    await expect(read({ ...tensors, 'text_encoder.q.lora_A.weight': a, [`transformer.${q}.diff`]: a })).rejects.toThrow(
      /2 tensors that this model has no place for: .*text_encoder.q.lora_A.weight.*diff/,
    );
    await expect(read({ 'model.diffusion_model.input_blocks.1.weight': a })).rejects.toThrow(
      'is no adapter of this model',
    );
    await expect(read({})).rejects.toThrow('no tensors');
    await expect(
      read({ 'transformer.transformer_blocks.7.attn1.to_q.lora_A.weight': a, [`transformer.${q}.lora_B.weight`]: b }),
    ).rejects.toThrow('transformer_blocks.7');
  });

  const broken: Readonly<Record<string, readonly [Readonly<Record<string, Tensor>>, string]>> = {
    'a factor that is missing': [{ 'lora_A.weight': a }, '(b) is missing'],
    'another width': [{ 'lora_A.weight': draw('x', 2, 5), 'lora_B.weight': b }, 'does not fit'],
    'ranks that differ': [{ 'lora_A.weight': a, 'lora_B.weight': draw('x', width, 3) }, 'does not fit'],
    'no rank': [{ 'lora_A.weight': float32([0, width], []), 'lora_B.weight': float32([width, 0], []) }, 'empty'],
    NaN: [{ 'lora_A.weight': float32([1, width], [1, Number.NaN, 0, 0]), 'lora_B.weight': draw('x', width, 1) }, 'NaN'],
    'two alphas': [{ 'lora_A.weight': a, 'lora_B.weight': b, alpha: float32([2], [1, 2]) }, 'single number'],
    'an alpha that is NaN': [{ 'lora_A.weight': a, 'lora_B.weight': b, alpha: float32([], [Number.NaN]) }, 'NaN'],
    'LoRA and LoKr at once': [{ 'lora_A.weight': a, 'lora_B.weight': b, lokr_w1: a }, 'mixes'],
    'an alpha alone': [{ alpha: float32([], [1]) }, 'no weights'],
    'the same in two spellings': [
      { 'lora_A.weight': a, 'lora_B.weight': b, 'lora_down.weight': a },
      'under another name',
    ],
    'whole numbers': [
      { 'lora_A.weight': { dtype: 'int32', shape: [2, width], data: new Int32Array(8) }, 'lora_B.weight': b },
      'int32',
    ],
  };
  for (const [what, [parts, message]] of Object.entries(broken)) {
    it(`refuses ${what}`, async () => {
      const named = Object.fromEntries(
        Object.entries(parts).map(([part, value]) => [`transformer.${q}.${part}`, value]),
      );
      await expect(read(named)).rejects.toThrow(message);
      await expect(read(named)).rejects.toMatchObject({ name: 'UserError' });
    });
  }

  it('refuses a layer that is adapted by itself and in the layer that holds it', async () => {
    const native = 'diffusion_model.blocks.0.attn.qkv';
    await expect(
      read({
        [`transformer.${q}.lora_A.weight`]: a,
        [`transformer.${q}.lora_B.weight`]: b,
        [`${native}.lora_A.weight`]: a,
        [`${native}.lora_B.weight`]: draw('qkv', 3 * width, 2),
      }),
    ).rejects.toThrow('twice');
  });

  it('refuses a header and an alpha that say different scales', async () => {
    const header = { 'transformer.r': 2, 'transformer.lora_alpha': 2 };
    const metadata = { lora_adapter_metadata: JSON.stringify(header) };
    const tensors = { [`transformer.${q}.lora_A.weight`]: a, [`transformer.${q}.lora_B.weight`]: b };
    expect((await read(tensors, metadata)).modules.get(q)?.scale).toBe(1);
    await expect(read({ ...tensors, [`transformer.${q}.alpha`]: float32([], [4]) }, metadata)).rejects.toThrow(
      'scale 1',
    );
  });

  it('says what is wrong with a folder without an adapter', async () => {
    const path = join(folder, 'empty');
    await mkdir(path);
    await expect(readAnyAdapter(path, modules)).rejects.toThrow('holds no adapter');
    await writeFile(join(path, 'adapter_model.bin'), '');
    await expect(readAnyAdapter(path, modules)).rejects.toThrow('pickled');
    await expect(readAnyAdapter(join(folder, 'nothing'), modules)).rejects.toThrow('no such file');
  });
});
