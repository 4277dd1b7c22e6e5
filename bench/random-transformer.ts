import { access, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type DType, fromFloat32, type Tensor } from '../src/graph/tensor.ts';
import { writeJson } from '../src/io/atomic-write.ts';
import { writeSafetensors } from '../src/io/safetensors.ts';
import {
  hiddenWidth,
  innerWidth,
  parseSanaTransformerConfig,
  sanaModules,
} from '../src/models/sana-transformer-config.ts';
import { createRandom } from '../src/random.ts';

/** The shape of a transformer to make up. */
export interface RandomTransformer {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly crossHeads: number;
  readonly dtype: 'float32' | 'float16' | 'bfloat16';
}

/**
 * A transformer's folder with random weights, in diffusers' layout, made once and kept in the system's temporary
 * folder: benches run on files of the true size, memory-mapped as in real life.
 */
export async function randomTransformer({
  layers,
  width,
  heads,
  crossHeads,
  dtype,
}: RandomTransformer): Promise<string> {
  const folder = join(tmpdir(), 'sana-train-bench', `transformer-${layers}x${width}-${heads}-${crossHeads}-${dtype}`);
  const json = {
    _class_name: 'SanaTransformer2DModel',
    num_layers: layers,
    num_attention_heads: heads,
    attention_head_dim: width / heads,
    num_cross_attention_heads: crossHeads,
    cross_attention_head_dim: width / crossHeads,
    cross_attention_dim: width,
  };
  const done = join(folder, 'config.json');
  if (await exists(done)) return folder;
  await mkdir(folder, { recursive: true });

  const config = parseSanaTransformerConfig(json, done);
  const d = innerWidth(config);
  const h = hiddenWidth(config);
  const shapes = new Map<string, readonly number[]>([
    ['caption_norm.weight', [d]],
    ['scale_shift_table', [2, d]],
  ]);
  for (const [name, { inFeatures, outFeatures, kernel, bias }] of sanaModules(config)) {
    shapes.set(
      `${name}.weight`,
      kernel === undefined ? [outFeatures, inFeatures] : [outFeatures, inFeatures, kernel, kernel],
    );
    if (bias) shapes.set(`${name}.bias`, [outFeatures]);
  }
  for (let layer = 0; layer < layers; layer++) {
    shapes.set(`transformer_blocks.${layer}.scale_shift_table`, [6, d]);
    shapes.set(`transformer_blocks.${layer}.ff.conv_depth.weight`, [2 * h, 1, 3, 3]);
    shapes.set(`transformer_blocks.${layer}.ff.conv_depth.bias`, [2 * h]);
  }
  await writeSafetensors(
    join(folder, 'diffusion_pytorch_model.safetensors'),
    [...shapes].map(
      ([name, shape]) =>
        [name, { dtype, shape, read: () => Promise.resolve(randomTensor(name, dtype, shape)) }] as const,
    ),
  );
  await writeJson(done, json);
  return folder;
}

function randomTensor(
  name: string,
  dtype: Exclude<DType, 'float64' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool'>,
  shape: readonly number[],
): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const fanIn = shape.length > 1 && !name.includes('scale_shift_table') ? count / (shape[0] ?? 1) : 100;
  const data = createRandom(name).normals(count);
  const base = name === 'caption_norm.weight' ? 1 : 0;
  for (let i = 0; i < count; i++) data[i] = base + (data[i] ?? 0) / Math.sqrt(fanIn);
  return fromFloat32(dtype, shape, data);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
