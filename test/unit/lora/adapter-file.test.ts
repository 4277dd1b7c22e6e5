import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { float32, fromFloat32, tensor, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { openSafetensors, writeSafetensors } from '../../../src/io/safetensors.ts';
import { adaptedModules, type AdapterConfig } from '../../../src/lora/adapter-config.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../../src/lora/adapter-file.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { parseSanaTransformerConfig, sanaModules } from '../../../src/models/sana-transformer-config.ts';
import { createRandom } from '../../../src/random.ts';

const modules = sanaModules(
  parseSanaTransformerConfig(
    {
      num_layers: 2,
      num_attention_heads: 2,
      attention_head_dim: 4,
      num_cross_attention_heads: 2,
      cross_attention_head_dim: 4,
      cross_attention_dim: 8,
    },
    'config.json',
  ),
);
const plain: AdapterConfig = {
  type: 'lora',
  rank: 3,
  alpha: 6,
  rankPattern: {},
  alphaPattern: {},
  targetModules: ['to_q', 'conv_point'],
  rslora: false,
  dropout: 0,
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'adapter-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** An adapter of random numbers. */
async function made(change: Partial<AdapterConfig> = {}): Promise<Adapter> {
  const adapted = adaptedModules(modules, { ...plain, ...change });
  const random = createRandom(1);
  const weights = new Map(
    [...adapted].map(([name, { inFeatures, outFeatures }]) => [
      `${name}.weight`,
      float32([outFeatures, inFeatures], random.normals(outFeatures * inFeatures)),
    ]),
  );
  const start = await createAdapter(adapted, weights, random);
  const tensors = [...start].map(
    ([name, { shape, data }]) => [name, float32(shape, random.normals(data.length))] as const,
  );
  return { modules: adapted, tensors: new Map(tensors) };
}

/** The metadata that a file has, parsed. */
async function metadataOf(file: string): Promise<unknown> {
  const { metadata } = await openSafetensors(file);
  return { ...metadata, lora_adapter_metadata: JSON.parse(metadata['lora_adapter_metadata'] ?? 'null') as unknown };
}

describe('writeAdapter', () => {
  it.each<[string, Partial<AdapterConfig>]>([
    ['LoRA', {}],
    ['DoRA', { type: 'dora', targetModules: ['to_v', 'conv_inverted', 'patch_embed.proj'] }],
    ['rsLoRA', { rslora: true }],
    [
      'patterns',
      {
        rankPattern: { '0.attn1.to_q': 1, conv_point: 5 },
        alphaPattern: { 'attn2.to_q': 0.5 },
        targetModules: ['to_q', 'conv_point'],
      },
    ],
  ])('writes what readAdapter reads: %s', async (name, change) => {
    const adapter = await made(change);
    const file = path.join(folder, `${name}.safetensors`);
    await writeAdapter(file, adapter, { rslora: change.rslora ?? false });
    const back = await readAdapter(file, modules);
    expect(back.modules).toEqual(adapter.modules);
    expect(new Set(back.tensors.keys())).toEqual(new Set(adapter.tensors.keys()));
    for (const [key, value] of adapter.tensors) expect(back.tensors.get(key)).toEqual(value);
  });

  it('describes the adapter with the fields that every diffusers since 0.34 reads', async () => {
    const file = path.join(folder, 'metadata.safetensors');
    await writeAdapter(
      file,
      await made({ rankPattern: { '1.ff.conv_point': 2 }, alphaPattern: { '0.attn2.to_q': 1 } }),
    );
    expect(await metadataOf(file)).toEqual({
      format: 'pt',
      lora_adapter_metadata: {
        'transformer.r': 3,
        'transformer.lora_alpha': 6,
        'transformer.rank_pattern': { 'transformer_blocks.1.ff.conv_point': 2 },
        'transformer.alpha_pattern': { 'transformer_blocks.0.attn2.to_q': 1 },
        'transformer.target_modules': [0, 1].flatMap((layer) =>
          ['attn1.to_q', 'attn2.to_q', 'ff.conv_point'].map((name) => `transformer_blocks.${layer}.${name}`),
        ),
      },
    });
    await writeAdapter(file, await made({ type: 'dora', rslora: true }), { rslora: true });
    expect(await metadataOf(file)).toMatchObject({
      lora_adapter_metadata: { 'transformer.use_dora': true, 'transformer.use_rslora': true },
    });
  });

  it.each(['float16', 'bfloat16'] as const)('rounds to %s', async (dtype) => {
    const adapter = await made();
    const file = path.join(folder, `${dtype}.safetensors`);
    await writeAdapter(file, adapter, { dtype });
    const { tensors } = await readAdapter(file, modules);
    for (const [key, value] of adapter.tensors) {
      expect(tensors.get(key)).toEqual(fromFloat32(dtype, value.shape, toFloat32(value)));
    }
  });

  it('refuses numbers that the dtype cannot hold, and NaN, and leaves no file', async () => {
    const adapter = await made();
    const [name = ''] = adapter.tensors.keys();
    const file = path.join(folder, 'large.safetensors');
    const withValue = (value: number): Adapter => ({
      ...adapter,
      tensors: new Map([...adapter.tensors, [name, float32([3, 8], new Float32Array(24).fill(value))]]),
    });
    await expect(writeAdapter(file, withValue(70000), { dtype: 'float16' })).rejects.toThrow(
      `${file} was not written: ${name} holds NaN or a number that float16 cannot hold; write bfloat16 or float32.`,
    );
    await expect(writeAdapter(file, withValue(Number.NaN))).rejects.toThrow('that float32 cannot hold.');
    await expect(openSafetensors(file)).rejects.toThrow(file);
    await writeAdapter(file, withValue(70000), { dtype: 'bfloat16' });
  });

  it('does not write a header that says another scale than the adapter has', async () => {
    const adapter = await made({ rslora: true });
    await expect(writeAdapter(path.join(folder, 'x.safetensors'), adapter)).rejects.toThrow(
      'has scale 3.464101615137755, and the header would say 2',
    );
  });
});

describe('readAdapter', () => {
  const a = 'transformer.transformer_blocks.0.attn1.to_q.lora_A.weight';
  const b = 'transformer.transformer_blocks.0.attn1.to_q.lora_B.weight';
  const magnitude = 'transformer.transformer_blocks.0.attn1.to_q.lora_magnitude_vector';
  const small: Readonly<Record<string, Tensor>> = {
    [a]: float32([2, 8], new Float32Array(16).fill(1)),
    [b]: float32([8, 2], new Float32Array(16).fill(1)),
  };

  async function read(
    tensors: Readonly<Record<string, Tensor>>,
    metadata?: Readonly<Record<string, unknown>> | string,
  ): Promise<Adapter> {
    const file = path.join(folder, 'read.safetensors');
    const text = typeof metadata === 'object' ? JSON.stringify(metadata) : metadata;
    await writeSafetensors(file, Object.entries(tensors), {
      metadata: text === undefined ? {} : { lora_adapter_metadata: text },
    });
    return readAdapter(file, modules);
  }

  it('takes a scale of 1 where there is no metadata, whatever the rank', async () => {
    const { modules: adapted } = await read(small);
    expect([...adapted]).toEqual([
      [
        'transformer_blocks.0.attn1.to_q',
        { inFeatures: 8, outFeatures: 8, bias: false, rank: 2, alpha: 2, scale: 1, dora: false, dropout: 0 },
      ],
    ]);
  });

  it('takes the scale that the header says, patterns first', async () => {
    const header = {
      'transformer.r': 2,
      'transformer.lora_alpha': 3,
      'text_encoder.r': 9,
      'transformer.bias': 'none',
      'transformer.use_qalora': false,
      'transformer.kasa_config': null,
    };
    expect((await read(small, header)).modules.values().next().value?.scale).toBe(1.5);
    const patterns = {
      ...header,
      'transformer.r': 7,
      'transformer.rank_pattern': { to_q: 2 },
      'transformer.alpha_pattern': { '.*attn1.*': 1 },
    };
    expect((await read(small, patterns)).modules.values().next().value?.scale).toBe(0.5);
    const rslora = { ...header, 'transformer.use_rslora': true };
    expect((await read(small, rslora)).modules.values().next().value?.scale).toBeCloseTo(3 / Math.sqrt(2));
  });

  const ok = { 'transformer.r': 2, 'transformer.lora_alpha': 2 };
  it.each<[string, Readonly<Record<string, Tensor>>, Readonly<Record<string, unknown>> | string | undefined, string]>([
    [
      'metadata that is no JSON',
      small,
      '{',
      "the header's lora_adapter_metadata cannot be read (it is no JSON); export",
    ],
    ['metadata that is a list', small, '[]', 'lora_adapter_metadata cannot be read ('],
    ['metadata without a rank', small, {}, '("r": '],
    ['a rank of 0', small, { ...ok, 'transformer.r': 0 }, '("r": '],
    ['an alpha that is no number', small, { ...ok, 'transformer.lora_alpha': '8' }, '("lora_alpha": '],
    ['an infinite alpha', small, '{"transformer.r":2,"transformer.lora_alpha":1e999}', '("lora_alpha": '],
    [
      'a field that may change the result',
      small,
      { ...ok, 'transformer.use_bdlora': { nblocks: 2 } },
      '("use_bdlora" is set, which is not known here)',
    ],
    ['weights that were changed', small, { ...ok, 'transformer.init_lora_weights': 'pissa' }, '("init_lora_weights": '],
    [
      'a pattern that is no pattern',
      small,
      { ...ok, 'transformer.alpha_pattern': { '(': 1 } },
      'alpha_pattern has the key "("',
    ],
    [
      'another rank than the tensors',
      small,
      { ...ok, 'transformer.r': 4 },
      'the header says rank 4 for transformer_blocks.0.attn1.to_q, whose lora_A has 2 rows; ',
    ],
    [
      'DoRA without magnitudes',
      small,
      { ...ok, 'transformer.use_dora': true },
      'the header says use_dora true, but there are no magnitudes; ',
    ],
    [
      'magnitudes without DoRA',
      { ...small, [magnitude]: float32([8], new Float32Array(8)) },
      ok,
      'the header says use_dora false, but there are magnitudes; ',
    ],
    [
      'magnitudes of some modules',
      {
        ...small,
        [magnitude]: float32([8], new Float32Array(8)),
        [a.replace('attn1', 'attn2')]: float32([2, 8], new Float32Array(16)),
        [b.replace('attn1', 'attn2')]: float32([8, 2], new Float32Array(16)),
      },
      undefined,
      `${magnitude.replace('attn1', 'attn2')} is missing, expected [8]; `,
    ],
    [
      'B alone missing',
      { [a]: small[a] ?? float32([], [0]) },
      undefined,
      `${b} is missing, expected [8, 2]; the adapter is of another model.`,
    ],
    [
      'another width',
      { ...small, [a]: float32([2, 6], new Float32Array(12)) },
      undefined,
      `${a} is [2, 6], expected [2, 8]; the adapter is of another model.`,
    ],
    [
      'no rank',
      { ...small, [a]: float32([0, 8], []) },
      undefined,
      'lora_A of transformer_blocks.0.attn1.to_q has shape [0, 8], which has no rank.',
    ],
    [
      'whole numbers',
      { ...small, [a]: tensor('int32', [2, 8], new Int32Array(16)) },
      undefined,
      `${a} is of int32, expected float32`,
    ],
    [
      'NaN',
      { ...small, [b]: float32([8, 2], new Float32Array(16).fill(Number.NaN, 3, 4)) },
      undefined,
      `has a value that is NaN or infinite in tensor "${b}" at [1, 1]`,
    ],
    [
      'unknown names, which are all listed up to five',
      {
        ...small,
        ...Object.fromEntries(
          ['a', 'b\u001b[2J', 'c', 'd', 'e', 'f', 'g'].map((name) => [`x.${name}`, float32([1], [0])]),
        ),
      },
      undefined,
      'the model has no place for "x.a", "x.b\\u001b[2J", "x.c", "x.d", "x.e" and 2 more.',
    ],
    [
      'names of another format',
      { 'lora_unet_blocks_0_attn_qkv.lora_down.weight': float32([1], [0]) },
      undefined,
      'it has "lora_unet_blocks_0_attn_qkv.lora_down.weight", and none of the names that diffusers gives',
    ],
  ])('refuses %s in a sentence', async (_, tensors, metadata, sentence) => {
    const error: unknown = await read(tensors, metadata).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'UserError' });
    expect(String(error)).toContain(sentence);
    expect(String(error)).toContain(path.join(folder, 'read.safetensors'));
  });
});
