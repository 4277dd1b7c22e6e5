import { join } from 'node:path';

import { writeJson } from '../io/atomic-write.ts';
import { bytesPerElement, elementCount } from '../graph/tensor.ts';
import { writeSafetensors } from '../io/safetensors.ts';
import type { LazyWeights } from './merged-weights.ts';

/** What huggingface_hub's split_torch_state_dict_into_shards takes by default. */
const shardBytes = 5e9;

/** How a model's weights are written. */
interface ShardOptions {
  /** Of a shard. @default 5e9 */
  readonly mostBytes?: number;
  /** The files' name: 'model' in folders that transformers reads. @default 'diffusion_pytorch_model' */
  readonly baseName?: 'diffusion_pytorch_model' | 'model';
}

/**
 * Writes a model's weights as diffusers does: one file, or shards with an index where they are larger than one may be.
 */
export async function writeSharded(
  folder: string,
  weights: LazyWeights,
  { mostBytes = shardBytes, baseName = 'diffusion_pytorch_model' }: ShardOptions = {},
): Promise<void> {
  const shards: LazyWeights[] = [];
  let current = new Map<string, NonNullable<ReturnType<LazyWeights['get']>>>();
  let size = 0;
  let total = 0;
  const sorted = [...weights].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, source] of sorted) {
    const bytes = elementCount(source.shape) * bytesPerElement(source.dtype);
    if (current.size > 0 && size + bytes > mostBytes) {
      shards.push(current);
      current = new Map();
      size = 0;
    }
    current.set(name, source);
    size += bytes;
    total += bytes;
  }
  shards.push(current);
  const metadata = { format: 'pt' };
  if (shards.length === 1) {
    await writeSafetensors(join(folder, `${baseName}.safetensors`), current, { metadata });
    return;
  }
  const map: Record<string, string> = {};
  for (const [i, tensors] of shards.entries()) {
    const number = (n: number): string => String(n).padStart(5, '0');
    const file = `${baseName}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    await writeSafetensors(join(folder, file), tensors, { metadata });
    for (const name of tensors.keys()) map[name] = file;
  }
  await writeJson(join(folder, `${baseName}.safetensors.index.json`), {
    metadata: { total_size: total },
    weight_map: map,
  });
}
