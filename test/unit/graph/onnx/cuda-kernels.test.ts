import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import type { Engine } from '../../../../src/engine/engine.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import { ModelProto } from '../../../../src/graph/onnx/schema.ts';
import { serialize } from '../../../../src/graph/onnx/serialize.ts';
import { isTensorLocation, type Weights } from '../../../../src/io/safetensors.ts';
import { createTrainingStep } from '../../../../src/lora/training-step.ts';
import { createDcAe, loadDcAe } from '../../../../src/models/dc-ae.ts';
import { encodePrompts } from '../../../../src/models/encode-prompts.ts';
import { loadGemma2 } from '../../../../src/models/gemma2.ts';
import { loadSanaTransformer } from '../../../../src/models/load-sana-transformer.ts';
import { sanaModules } from '../../../../src/models/sana-transformer-config.ts';
import { readAdapter } from '../../../../src/lora/adapter-file.ts';
import { loadTokenizer } from '../../../../src/text/tokenizer.ts';
import { float32 } from '../../../../src/graph/tensor.ts';

// What CUDA's provider of onnxruntime 1.30 registers; tools/goldens/cuda_kernels.py asked it.
const goldens = join(import.meta.dirname, '..', 'goldens', 'cuda-kernels.json');
const kernels = z.record(z.string(), z.array(z.string())).parse(JSON.parse(await readFile(goldens, 'utf8')));

const parity = join(import.meta.dirname, '..', '..', '..', 'parity', 'goldens');
const typeNames: Readonly<Record<number, string>> = {
  1: 'float',
  2: 'uint8',
  3: 'int8',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  16: 'bfloat16',
};

const modelSchema = z.object({
  graph: z.object({
    node: z.array(
      z.object({
        opType: z.string(),
        domain: z.string(),
        input: z.array(z.string()),
        output: z.array(z.string()),
        attribute: z.array(z.object({ name: z.string(), i: z.coerce.number() })),
      }),
    ),
    initializer: z.array(z.object({ name: z.string(), dataType: z.number() })),
    input: z.array(z.object({ name: z.string(), type: z.object({ tensorType: z.object({ elemType: z.number() }) }) })),
  }),
});

/** The nodes that CUDA has no kernel for, as ops with the type of their first operand. */
function withoutKernel(graph: Graph): readonly string[] {
  const bytes = serialize(graph, {
    dialect: { contribOps: true },
    onSize: () => undefined,
    weight: () => ({ location: 'weights', offset: 0, length: 0 }),
  });
  const decoded: unknown = ModelProto.toObject(ModelProto.decode(bytes), { longs: String, defaults: true });
  const { node, initializer, input } = modelSchema.parse(decoded).graph;
  const types = new Map<string, string>();
  for (const { name, dataType } of initializer) types.set(name, typeNames[dataType] ?? `${dataType}`);
  for (const { name, type } of input) types.set(name, typeNames[type.tensorType.elemType] ?? '');
  const missing = new Set<string>();
  for (const { opType, domain, input: operands, output, attribute } of node) {
    const name = domain === '' ? opType : `${domain}:${opType}`;
    const type = types.get(operands[0] ?? '') ?? '';
    if (!(kernels[name] ?? []).includes(type)) missing.add(`${name} of ${type}`);
    const to = attribute.find((one) => one.name === 'to')?.i;
    const comparison = ['Greater', 'Less', 'Equal'].includes(opType);
    const result = opType === 'Cast' && to !== undefined ? typeNames[to] : comparison ? 'bool' : type;
    for (const one of output) types.set(one, result ?? '');
  }
  return [...missing];
}

/** An engine that looks at graphs and runs none. */
function looking(seen: string[], counted: { graphs: number }): Engine {
  return {
    name: 'looking',
    compile(graph) {
      counted.graphs++;
      seen.push(...withoutKernel(graph));
      return Promise.reject(new Error('seen'));
    },
    close: () => Promise.resolve(),
  };
}

/** Weights as if their files had them in another type. */
function stored(weights: Weights, dtype: 'float32' | 'float16' | 'bfloat16'): Weights {
  return new Map(
    [...weights].map(([name, source]) => [name, isTensorLocation(source) ? { ...source, dtype } : source]),
  );
}

describe('graphs for CUDA', () => {
  it.each(['float32', 'float16', 'bfloat16'] as const)(
    'use only kernels that it has, with weights in %s',
    async (dtype) => {
      const seen: string[] = [];
      const counted = { graphs: 0 };
      const engine = looking(seen, counted);
      const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
      for (const [variant, name] of [
        ['plain', 'lora_all_r3_a6'],
        ['affine', 'lora_attention_r4_a8_dora'],
      ] as const) {
        const model = await loadSanaTransformer(join(parity, variant, 'pipeline', 'transformer'));
        const adapter = await readAdapter(
          join(parity, variant, `${name}.adapter.safetensors`),
          sanaModules(model.config),
        );
        for (const gradientCheckpointing of [false, true]) {
          const given = { ...model, weights: stored(model.weights, dtype) };
          await attempt(createTrainingStep(engine, given, adapter.modules, { gradientCheckpointing }));
        }
      }
      const pipeline = join(parity, 'plain', 'pipeline');
      const files = await loadDcAe(join(pipeline, 'vae'));
      const dcAe = createDcAe(engine, { ...files, weights: stored(files.weights, dtype) });
      await attempt(dcAe.encode(float32([1, 3, 32, 32], new Float32Array(3 * 32 * 32))));
      await attempt(dcAe.decode(float32([1, 8, 1, 1], new Float32Array(8))));
      const tokenizer = await loadTokenizer(join(pipeline, 'tokenizer'));
      const textEncoder = await loadGemma2(join(pipeline, 'text_encoder'));
      const narrow = { ...textEncoder, weights: stored(textEncoder.weights, dtype) };
      await attempt(encodePrompts(engine, { tokenizer, textEncoder: narrow }, ['a red square'], {}));
      expect(seen).toEqual([]);
      expect(counted.graphs).toBe(7);
    },
  );
});
