import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { openSafetensors, readTensor, type TensorLocation } from '../../../src/io/safetensors.ts';
import { gemma2HiddenStates, type Gemma2Request } from '../../../src/models/gemma2-hidden-states.ts';
import { checkGemma2, type Gemma2, loadGemma2 } from '../../../src/models/gemma2.ts';
import { randomGemma2 } from '../../random-gemma2.ts';

// Made by tools/goldens/gemma2.py.
const goldens = join(import.meta.dirname, 'goldens');
const folderOf = (dtype: string): string => join(goldens, `gemma2-${dtype}`);

let engine: Engine;
beforeAll(() => {
  engine = createOnnxruntimeEngine({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
});

async function golden(dtype: string): Promise<{ tokens: number[]; expected: Tensor }> {
  const { tensors } = await openSafetensors(join(folderOf(dtype), 'expected.safetensors'));
  const read = async (name: string): Promise<Tensor> => {
    const location = tensors.get(name);
    if (!location) throw new RangeError(name);
    return await readTensor(location);
  };
  return { tokens: [...toFloat32(await read('tokens'))], expected: await read('expected') };
}

async function statesOf(
  model: Gemma2,
  requests: readonly Gemma2Request[],
  options = {},
  computes = engine,
): Promise<Tensor[]> {
  const states: Tensor[] = [];
  for await (const { index, hiddenStates } of gemma2HiddenStates(computes, model, requests, options)) {
    states[index] = hiddenStates;
  }
  return states;
}

const all = (inputIds: readonly number[]): Gemma2Request => ({ inputIds, positions: inputIds.map((_, i) => i) });

async function inMemory(model: Gemma2): Promise<Map<string, Tensor | TensorLocation>> {
  const tensors = new Map<string, Tensor | TensorLocation>();
  for (const [name, value] of model.weights) tensors.set(name, 'offset' in value ? await readTensor(value) : value);
  return tensors;
}

describe('gemma2HiddenStates', () => {
  it.each(['fp32', 'bf16'])('computes what transformers computes with %s weights', async (dtype) => {
    const { tokens, expected } = await golden(dtype);
    const [states] = await statesOf(await loadGemma2(folderOf(dtype)), [all(tokens)]);
    expect(states).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
  });

  it('takes weights from memory', async () => {
    const { tokens, expected } = await golden('fp32');
    const model = await loadGemma2(folderOf('fp32'));
    const [states] = await statesOf({ ...model, weights: await inMemory(model) }, [all(tokens)]);
    expect(states).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
  });

  it('gives a sequence the same states, bit for bit, whatever is computed with it', async () => {
    const { tokens, expected } = await golden('fp32');
    const model = await loadGemma2(folderOf('fp32'));
    const many = Array.from({ length: 40 }, (_, i) => [
      2,
      5,
      6,
      3 + (i % 7),
      ...Array<number>(i % 11).fill(4 + (i % 5)),
    ]);
    const requests = [
      tokens.slice(0, 3),
      [5],
      [5, 6],
      tokens,
      [...tokens.slice(0, 4), 1, 1, 1, 1, 1, 1],
      tokens,
      ...many,
    ].map((inputIds, i): Gemma2Request => ({ ...all(inputIds), shared: i % 3 === 0 ? 0 : 3 }));
    const alone: Tensor[] = [];
    for (const request of requests) alone.push(...(await statesOf(model, [request])));
    expect(alone[3]).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
    expect(alone[5]).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-5 });
    // In one pass of several runs, in passes of some sequences, in another order, and some of them.
    expect(await statesOf(model, requests)).toEqual(alone);
    expect(await statesOf(model, requests, { rowsPerPass: 20 })).toEqual(alone);
    expect(await statesOf(model, requests.toReversed())).toEqual(alone.toReversed());
    expect(await statesOf(model, requests.slice(4))).toEqual(alone.slice(4));
  });

  it('gives the same states of a wide model too, whose runs have other numbers of rows', async () => {
    const model = randomGemma2(512);
    const twoThreads = createOnnxruntimeEngine({ threads: 2 });
    try {
      for (const computes of [engine, twoThreads]) {
        const requests = [1, 60, 130, 230, 90].map((length, i) =>
          all(Array.from({ length }, (_, position) => (i + position * position) % 24)),
        );
        const together = await statesOf(model, requests, {}, computes); // 511 rows: two runs of 288
        for (const [i, request] of requests.entries()) {
          expect(await statesOf(model, [request], {}, computes)).toEqual([together[i]]); // 48 to 240
        }
      }
    } finally {
      await twoThreads.close();
    }
  });

  it('gives the states of the positions that are asked for', async () => {
    const { tokens, expected } = await golden('fp32');
    const model = await loadGemma2(folderOf('fp32'));
    const [last] = await statesOf(model, [{ inputIds: tokens, shared: 4, positions: [9, 0] }]);
    const rows = [expected.data.slice(-12), expected.data.slice(0, 12)].flatMap((row) => Array.from(row, Number));
    expect(last).toBeAllclose(float32([2, 12], rows), { rtol: 1e-5, atol: 1e-5 });
  });

  it('reports its progress and stops when told', async () => {
    const model = await loadGemma2(folderOf('fp32'));
    const requests = [all([2, 3, 4]), all([2, 3, 5])].map((one) => ({ ...one, shared: 2 })); // 4 rows, 3 layers
    const seen: string[] = [];
    await statesOf(model, requests, {
      onProgress: ({ done, total }: { done: number; total: number }) => seen.push(`${done}/${total}`),
    });
    expect(seen).toEqual(['4/12', '8/12', '12/12']);
    const controller = new AbortController();
    const stopped = statesOf(model, requests, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(stopped).rejects.toThrow('enough');
  });

  it.each([
    ['layers.1.mlp.up_proj.weight', Number.NaN],
    ['layers.2.input_layernorm.weight', Number.POSITIVE_INFINITY],
    ['embed_tokens.weight', Number.NaN],
    ['norm.weight', Number.NaN],
  ])('names %s when it holds %d', async (name, value) => {
    const model = await loadGemma2(folderOf('fp32'));
    const weights = await inMemory(model);
    const tensor = weights.get(name);
    if (tensor && 'data' in tensor) tensor.data.fill(value as never);
    const run = statesOf({ ...model, weights }, [all([2, 3])]);
    await expect(run).rejects.toThrow(`NaN or infinite in tensor "${name}" at [0`);
  });

  it('refuses tokens of another tokenizer', async () => {
    const model = await loadGemma2(folderOf('fp32'));
    await expect(statesOf(model, [all([2, 24])])).rejects.toThrow(
      'The tokenizer gives token 24, and the text encoder knows 24 tokens',
    );
  });
});

describe('loadGemma2', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gemma2-'));
    await cp(folderOf('fp32'), folder, { recursive: true });
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function changeConfig(changes: Readonly<Record<string, unknown>>): Promise<void> {
    const path = join(folder, 'config.json');
    const config: object = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...config, ...changes }));
  }

  it.each([
    [{ architectures: ['T5EncoderModel'] }, 'is of "T5EncoderModel"; expected Gemma2Model or Gemma2ForCausalLM'],
    [{ architectures: undefined, model_type: 't5' }, 'model_type: '],
    [{ hidden_activation: 'silu' }, 'hidden_activation: '],
    [{ rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters.rope_type: '],
    [{ use_bidirectional_attention: true }, 'use_bidirectional_attention: '],
    [{ num_key_value_heads: 3 }, 'num_attention_heads (4) is no multiple of num_key_value_heads (3)'],
    [{ layer_types: ['full_attention'] }, 'layer_types has 1 entries and num_hidden_layers is 3'],
    [{ sliding_window: null }, 'sliding_window is null'],
    [{ vocab_size: 25 }, 'tensor "embed_tokens.weight" with shape [24, 12], expected [25, 12]'],
    [{ num_hidden_layers: 4, layer_types: null }, 'has no tensor "layers.3.input_layernorm.weight"'],
    [{ num_hidden_layers: 2, layer_types: null }, 'has tensors that the model does not know: "layers.2.'],
  ])('refuses %j', async (changes, message) => {
    await changeConfig(changes);
    await expect(loadGemma2(folder)).rejects.toThrow(message);
    await expect(loadGemma2(folder)).rejects.toThrow(folder);
  });

  it('reads what transformers 4 wrote like what 5 writes', async () => {
    const { config } = await loadGemma2(folder);
    await changeConfig({ architectures: undefined });
    expect((await loadGemma2(folder)).config).toEqual(config);
    await changeConfig({ rope_parameters: undefined, rope_theta: 10_000, layer_types: undefined });
    expect((await loadGemma2(folder)).config).toEqual(config);
  });
});

describe('checkGemma2', () => {
  it('leaves the head that predicts tokens aside', async () => {
    const { config, weights } = await loadGemma2(folderOf('bf16'));
    const withHead = new Map([...weights, ['lm_head.weight', float32([1], [0])] as const]);
    expect(checkGemma2(config, withHead).prefix).toBe('model.');
    const withOther = new Map([...weights, ['lm_head.bias', float32([1], [0])] as const]);
    expect(() => checkGemma2(config, withOther)).toThrow('"lm_head.bias"');
  });
});
