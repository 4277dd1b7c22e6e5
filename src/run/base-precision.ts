import { join } from 'node:path';

import type { Cache } from '../../datasets/cache.ts';
import { keyOf } from '../../datasets/cache-keys.ts';
import type { Config } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { quantizeTransformer } from '../models/quantize-transformer.ts';
import { quantizedLimit } from '../models/quantized-limit.ts';

/** What {@link in8Bits} needs. */
export interface Base8BitsOptions {
  readonly engine: Engine;
  /** Where 8-bit weights are kept, in a folder of their own. */
  readonly cacheFolder: string;
  /** Of the transformer's files. */
  readonly modelKey: string;
  readonly signal?: AbortSignal;
}

/**
 * The transformer with its weights in 8 bits too, made once for a model and kind of processor.
 * @throws UserError for an engine that does not multiply them
 */
export async function in8Bits(
  model: SanaTransformer,
  { engine, cacheFolder, modelKey, signal }: Base8BitsOptions,
): Promise<SanaTransformer> {
  if (engine.name !== 'onnxruntime (cpu)') {
    throw new UserError(
      `8-bit products are made by onnxruntime on the CPU alone, and the engine is ${engine.name}; use the engine cpu, or the precision fp32.`,
    );
  }
  const limit = await quantizedLimit(engine);
  const file = join(cacheFolder, 'int8', `${keyOf({ modelKey, limit })}.safetensors`);
  return quantizeTransformer(model, { file, modelKey, limit, ...(signal && { signal }) });
}

/** What {@link inPrecision} needs. */
export interface BasePrecisionOptions extends Omit<Base8BitsOptions, 'cacheFolder'> {
  readonly precision: Config['train']['precision'];
  readonly cache: Pick<Cache, 'folder'>;
}

/** The frozen transformer in the precision of `train.precision`. */
export async function* inPrecision(
  model: SanaTransformer,
  { precision, cache, ...options }: BasePrecisionOptions,
): AsyncGenerator<TrainEvent, SanaTransformer> {
  if (precision === 'fp32') return model;
  const stage = { kind: 'stage', stage: 'cache', total: 1, what: 'set of 8-bit weights' } as const;
  yield { ...stage, done: 0 };
  const quantized = await in8Bits(model, { ...options, cacheFolder: cache.folder });
  yield { ...stage, done: 1 };
  return quantized;
}
