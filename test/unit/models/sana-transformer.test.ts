import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { UserError } from '../../../src/errors.ts';
import { float32, fromFloat32, tensor, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../../../src/io/safetensors.ts';
import { loadSanaTransformer, type SanaTransformer } from '../../../src/models/load-sana-transformer.ts';
import { createPredictor } from '../../../src/models/predict-velocity.ts';
import { parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';

const engine = createOnnxruntimeEngine();
const folders: string[] = [];
afterAll(async () => {
  await engine.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

interface Golden {
  readonly config: Record<string, unknown>;
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly weights: ReadonlyMap<string, Tensor>;
}

// Written by tools/goldens/sana.py with diffusers.
async function readGolden(name: string): Promise<Golden> {
  const file = await openSafetensors(path.join(import.meta.dirname, 'goldens', `sana-${name}.safetensors`));
  const config = JSON.parse(file.metadata['config'] ?? '') as Record<string, unknown>;
  const tensors = new Map<string, Tensor>();
  const weights = new Map<string, Tensor>();
  for (const [key, location] of file.tensors) {
    (key.startsWith('weights.') ? weights : tensors).set(key.replace(/^weights\./, ''), await readTensor(location));
  }
  return { config, tensors, weights };
}

function get(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = tensors.get(name);
  if (!found) throw new Error(`the golden has no ${name}`);
  return found;
}

async function predict(model: SanaTransformer, tensors: Golden['tensors'], mask?: Tensor): Promise<Tensor> {
  const predictor = await createPredictor(engine, model);
  const guidance = tensors.get('guidance');
  const sample = await predictor.predict(get(tensors, 'hidden_states'), {
    promptEmbeds: get(tensors, 'encoder_hidden_states'),
    promptAttentionMask: mask ?? get(tensors, 'encoder_attention_mask'),
    timesteps: [...toFloat32(get(tensors, 'timestep'))],
    ...(guidance && { guidance: [...toFloat32(guidance)] }),
  });
  await predictor.dispose();
  return sample;
}

describe('sanaTransformer', () => {
  it.each(['positions', 'guided'])('computes what diffusers does: %s', async (name) => {
    const { config, tensors, weights } = await readGolden(name);
    const model = { config: parseSanaTransformerConfig(config, 'config.json'), weights };
    expect(await predict(model, tensors)).toBeAllclose(get(tensors, 'sample'), { rtol: 1e-4, atol: 1e-5 });
    const mask = get(tensors, 'encoder_attention_mask');
    const empty = float32(mask.shape, new Float32Array(toFloat32(mask).length));
    expect(await predict(model, tensors, empty)).toBeAllclose(get(tensors, 'empty'), { rtol: 1e-4, atol: 1e-5 });
  });

  it.each(['bfloat16', 'float16'] as const)('computes with %s weights as with the numbers they hold', async (dtype) => {
    const { config: json, tensors, weights } = await readGolden('guided');
    const config = parseSanaTransformerConfig(json, 'config.json');
    const half = [...weights].map(
      ([name, value]) => [name, fromFloat32(dtype, value.shape, toFloat32(value))] as const,
    );
    const full = half.map(([name, value]) => [name, float32(value.shape, toFloat32(value))] as const);
    const expected = await predict({ config, weights: new Map(full) }, tensors);
    expect(await predict({ config, weights: new Map(half) }, tensors)).toBeAllclose(expected, { atol: 1e-6 });
    expect(get(tensors, 'sample')).not.toBeAllclose(expected, { rtol: 1e-4, atol: 1e-5 });
  });
});

describe('loadSanaTransformer', () => {
  type Change = { config?: Record<string, unknown>; remove?: string; replace?: [string, Tensor] };

  async function saveGolden({ config: changed = {}, remove, replace }: Change): Promise<string> {
    const { config, weights } = await readGolden('positions');
    const folder = await mkdtemp(path.join(tmpdir(), 'sana-transformer-'));
    folders.push(folder);
    const json = { _class_name: 'SanaTransformer2DModel', ...config, ...changed };
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(json));
    const kept = new Map([...weights].filter(([name]) => name !== remove));
    if (replace) kept.set(...replace);
    await writeSafetensors(path.join(folder, 'diffusion_pytorch_model.safetensors'), kept);
    return folder;
  }

  /** The sentence that loading ends with, without the folder's name. */
  async function problemOf(change: Change): Promise<string> {
    const folder = await saveGolden(change);
    return loadSanaTransformer(folder).then(
      () => 'none',
      (error: unknown) => (error instanceof UserError ? error.message.replaceAll(folder, '') : String(error)),
    );
  }

  it('opens what diffusers saved', async () => {
    const model = await loadSanaTransformer(await saveGolden({}));
    const { tensors } = await readGolden('positions');
    expect(await predict(model, tensors)).toBeAllclose(get(tensors, 'sample'), { rtol: 1e-4, atol: 1e-5 });
  });

  const q = 'transformer_blocks.0.attn1.to_q.weight';
  const file = '/diffusion_pytorch_model.safetensors';
  it.each<[string, Change, string]>([
    ['a missing tensor', { remove: q }, `${file} has no tensor "${q}", expected with shape [16, 16]; `],
    [
      'an unknown tensor',
      { replace: ['transformer_blocks.0.attn1.to_q.bias', float32([16], new Float32Array(16))] },
      `${file} has tensors that the model does not know: "transformer_blocks.0.attn1.to_q.bias"; `,
    ],
    [
      'another shape',
      { replace: [q, float32([16, 8], new Float32Array(128))] },
      `${file} has tensor "${q}" with shape [16, 8], expected [16, 16]; `,
    ],
    [
      'another dtype',
      { replace: [q, tensor('int32', [16, 16], new Int32Array(256))] },
      `${file} has tensor "${q}" as int32, expected float32 or float16 or bfloat16; `,
    ],
    [
      'NaN',
      { replace: [q, float32([16, 16], new Float32Array(256).fill(Number.NaN, 17, 18))] },
      `${file} has a value that is NaN or infinite in tensor "${q}" at [1, 1]; `,
    ],
    ['more layers in the config', { config: { num_layers: 2 } }, `${file} has no tensor "transformer_blocks.1.`],
    [
      'another class',
      { config: { _class_name: 'PixArtTransformer2DModel' } },
      '/config.json is of "PixArtTransformer2DModel"; expected SanaTransformer2DModel; ',
    ],
    ['another width', { config: { cross_attention_dim: 8 } }, '/config.json: cross_attention_dim (8) and '],
  ])('says what is wrong: %s', async (_, change, sentence) => {
    expect(await problemOf(change)).toContain(sentence);
  });
});
