import { join } from 'node:path';

import type { Cache } from '../../datasets/cache.ts';
import { keyOf } from '../../datasets/cache-keys.ts';
import type { Config } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { quantizeTransformer } from '../models/quantize-transformer.ts';
import { quantizedLimit } from '../models/quantized-limit.ts';

/** What {@link inPrecision} needs. */
export interface BasePrecisionOptions {
  readonly precision: Config['train']['precision'];
  readonly engine: Engine;
  readonly cache: Pick<Cache, 'folder'>;
  /** Of the transformer's files. */
  readonly modelKey: string;
  readonly signal?: AbortSignal;
}

/** The frozen transformer in the precision of `train.precision`; in 8 bits its weights are made once and then kept. */
export async function* inPrecision(
  model: SanaTransformer,
  { precision, engine, cache, modelKey, signal }: BasePrecisionOptions,
): AsyncGenerator<TrainEvent, SanaTransformer> {
  if (precision === 'fp32') return model;
  const limit = await quantizedLimit(engine);
  const stage = { kind: 'stage', stage: 'cache', total: 1, what: 'set of 8-bit weights' } as const;
  yield { ...stage, done: 0 };
  const quantized = await quantizeTransformer(model, {
    file: join(cache.folder, 'int8', `${keyOf({ modelKey, limit })}.safetensors`),
    modelKey,
    limit,
    ...(signal && { signal }),
  });
  yield { ...stage, done: 1 };
  return quantized;
}
