import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { Command } from 'commander';
import { z } from 'zod';

import { writeSharded } from '../src/export/write-sharded.ts';
import { elementCount, fromFloat32, type Tensor } from '../src/graph/tensor.ts';
import { input } from '../src/graph/value.ts';
import { writeJson } from '../src/io/atomic-write.ts';
import { parseDcAeConfig } from '../src/models/dc-ae-config.ts';
import { decoderGraph, encoderGraph } from '../src/models/dc-ae-graph.ts';
import { gemma2LayerTensors, parseGemma2Config } from '../src/models/gemma2-config.ts';
import { sanaInputs } from '../src/models/load-sana-transformer.ts';
import { parseSanaTransformerConfig } from '../src/models/sana-transformer-config.ts';
import { sanaTransformer } from '../src/models/sana-transformer.ts';
import { type TensorShapes, weightShapes } from '../src/models/weight-shapes.ts';
import { createRandom } from '../src/random.ts';

const dtype = z.enum(['float32', 'float16', 'bfloat16']);
const count = z.int().positive();

const modelSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('transformer'), layers: count, width: count, heads: count, crossHeads: count, dtype }),
  z.object({ kind: z.literal('text'), layers: count, dtype }),
  z.object({ kind: z.literal('vae'), dtype }),
]);

/** A part of a pipeline to make up: Sana's transformer, Gemma-2-2B in so many layers, or the f32c32 DC-AE. */
export type RandomModel = z.output<typeof modelSchema>;

/** The shapes of Sana's published transformers. */
export const sanaSizes = {
  '0.6b': { layers: 28, width: 1152, heads: 36, crossHeads: 16 },
  '1.6b': { layers: 20, width: 2240, heads: 70, crossHeads: 20 },
} as const;

/**
 * The folder of a part with random weights, in diffusers' layout, made once and kept in the system's temporary folder:
 * benches run on files of the true size, memory-mapped as in real life. It is made by a process of its own, whose
 * memory does not count.
 */
export async function randomModel(model: RandomModel): Promise<string> {
  const folder = folderOf(model);
  if (!existsSync(folder)) {
    const script = join(import.meta.dirname, 'main.ts');
    await promisify(execFile)(process.execPath, [...process.execArgv, script, 'make', JSON.stringify(model)]);
  }
  return folder;
}

/** Adds `bench make`, which randomModel runs, and `bench clean`. */
export function addMakeCommand(program: Command): void {
  program
    .command('make <json>', { hidden: true })
    .action((json: string) => makeModel(modelSchema.parse(JSON.parse(json))));
  program
    .command('clean')
    .description('deletes the random weights that benches left in the temporary folder')
    .action(() => rm(root, { recursive: true, force: true }));
}

const root = join(tmpdir(), 'sana-train-bench');

function folderOf({ kind, ...rest }: RandomModel): string {
  return join(root, [kind, ...Object.values(rest)].join('-'));
}

async function makeModel(model: RandomModel): Promise<void> {
  const folder = folderOf(model);
  const unfinished = `${folder}.part`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const { config, shapes } = describeModel(model);
  const tensors = [...shapes].map(
    ([name, shape]) =>
      [
        name,
        { dtype: model.dtype, shape, read: () => Promise.resolve(randomTensor(name, model.dtype, shape)) },
      ] as const,
  );
  const baseName = model.kind === 'text' ? 'model' : 'diffusion_pytorch_model';
  await writeSharded(unfinished, new Map(tensors), { mostBytes: 2e9, baseName });
  await writeJson(join(unfinished, 'config.json'), config);
  await rename(unfinished, folder);
}

/** A part's config.json and its tensors. */
function describeModel(model: RandomModel): { readonly config: object; readonly shapes: TensorShapes } {
  switch (model.kind) {
    case 'transformer': {
      const { layers, width, heads, crossHeads } = model;
      const config = {
        _class_name: 'SanaTransformer2DModel',
        num_layers: layers,
        num_attention_heads: heads,
        attention_head_dim: width / heads,
        num_cross_attention_heads: crossHeads,
        cross_attention_head_dim: width / crossHeads,
        cross_attention_dim: width,
      };
      const parsed = parseSanaTransformerConfig(config, 'config.json');
      return { config, shapes: weightShapes((read) => sanaTransformer(parsed, read, sanaInputs(parsed))) };
    }
    case 'text': {
      const config = { architectures: ['Gemma2Model'], model_type: 'gemma2', num_hidden_layers: model.layers };
      const parsed = parseGemma2Config(config, 'config.json');
      const { vocab_size: tokens, hidden_size: d } = parsed;
      const shapes = new Map<string, readonly number[]>([
        ['embed_tokens.weight', [tokens, d]],
        ['norm.weight', [d]],
      ]);
      for (let layer = 0; layer < model.layers; layer++) {
        for (const [name, shape] of gemma2LayerTensors(parsed)) shapes.set(`layers.${layer}.${name}`, shape);
      }
      return { config, shapes };
    }
    case 'vae': {
      const parsed = parseDcAeConfig(vaeConfig, 'config.json');
      const shapes = weightShapes((read) => {
        encoderGraph(read, parsed, input('images', ['B', 3, '32*H', '32*W']));
        decoderGraph(read, parsed, input('latents', ['B', 32, 'H', 'W']));
      });
      return { config: { _class_name: 'AutoencoderDC', ...vaeConfig }, shapes };
    }
  }
}

const blockTypes = [...Array<string>(3).fill('ResBlock'), ...Array<string>(3).fill('EfficientViTBlock')];

/** Sana's autoencoder (dc-ae-f32c32-sana): what differs from AutoencoderDC's defaults. */
const vaeConfig = {
  encoder_block_types: blockTypes,
  decoder_block_types: blockTypes,
  downsample_block_type: 'conv',
  upsample_block_type: 'interpolate',
  scaling_factor: 0.41407,
};

/** Normal numbers are drawn once for so many elements, and repeat. */
const period = 2 ** 20 - 3;

function randomTensor(name: string, type: z.output<typeof dtype>, shape: readonly number[]): Tensor {
  const size = elementCount(shape);
  const fanIn = shape.length > 1 && !name.includes('scale_shift_table') ? size / (shape[0] ?? 1) : 100;
  const data = createRandom(name).normals(Math.min(size, period));
  // Norms scale by about 1; Gemma stores its scales minus 1.
  const base = /norm[^.]*\.weight$/.test(name) && !/layernorm|^norm\./.test(name) ? 1 : 0;
  for (let i = 0; i < data.length; i++) data[i] = base + (data[i] ?? 0) / Math.sqrt(fanIn);
  const drawn = fromFloat32(type, [data.length], data);
  if (size <= period) return { ...drawn, shape };
  const all = drawn.data instanceof Float32Array ? new Float32Array(size) : new Uint16Array(size);
  const part = drawn.data instanceof Float32Array || drawn.data instanceof Uint16Array ? drawn.data : new Uint16Array();
  for (let at = 0; at < size; at += period) all.set(part.subarray(0, Math.min(period, size - at)), at);
  return { dtype: type, shape, data: all };
}
