import { join } from 'node:path';

import type { Engine } from '../src/engine/engine.ts';
import { loadSanaTransformer, type SanaTransformer } from '../src/models/load-sana-transformer.ts';
import { nf4Transformer } from '../src/models/nf4-transformer.ts';
import { quantizeTransformer } from '../src/models/quantize-transformer.ts';
import { quantizedLimit } from '../src/models/quantized-limit.ts';
import { type RandomModel, randomModel } from './random-model.ts';

/** The shape of a transformer to make up. */
export type RandomTransformer = Omit<Extract<RandomModel, { readonly kind: 'transformer' }>, 'kind'>;

/** A transformer's folder with random weights; see randomModel. */
export function randomTransformer(model: RandomTransformer): Promise<string> {
  return randomModel({ kind: 'transformer', ...model });
}

/** What the files of a precision hold; int8 and nf4 are made of them. */
export const transformerStorage = {
  fp32: 'float32',
  bf16: 'bfloat16',
  fp16: 'float16',
  int8: 'bfloat16',
  nf4: 'bfloat16',
} as const;

/** How a transformer is stored, and whether it is multiplied in 8 bits. */
export type TransformerPrecision = keyof typeof transformerStorage;

/** A transformer with random weights as `precision` has it; `exact` is what its files hold. */
export async function openRandomTransformer(
  engine: Engine,
  shape: Omit<RandomTransformer, 'dtype'>,
  precision: TransformerPrecision,
): Promise<{ readonly exact: SanaTransformer; readonly model: SanaTransformer }> {
  const folder = await randomTransformer({ ...shape, dtype: transformerStorage[precision] });
  const exact = await loadSanaTransformer(folder);
  if (precision === 'nf4') {
    return { exact, model: await nf4Transformer(exact, { file: join(folder, 'nf4.cache'), modelKey: 'random' }) };
  }
  if (precision !== 'int8') return { exact, model: exact };
  const limit = await quantizedLimit(engine);
  return {
    exact,
    model: await quantizeTransformer(exact, { file: join(folder, 'int8.cache'), modelKey: 'random', limit }),
  };
}
