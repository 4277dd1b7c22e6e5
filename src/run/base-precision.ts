import { join } from 'node:path';

import type { Cache } from '../../datasets/cache.ts';
import { keyOf } from '../../datasets/cache-keys.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import type { PromptEncoder } from '../models/encode-prompts.ts';
import { nf4Transformer } from '../models/nf4-transformer.ts';
import type { BasePrecision, TextPrecision } from '../models/precisions.ts';
import { quantizeGemma2 } from '../models/quantize-gemma2.ts';
import { quantizeTransformer } from '../models/quantize-transformer.ts';
import { quantizedLimit } from '../models/quantized-limit.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';

/** What {@link quantized} needs. */
export interface QuantizedOptions {
  readonly precision: Exclude<BasePrecision, 'fp32'>;
  readonly engine: Engine;
  /** Where weights in few bits are kept, in a folder for each precision. */
  readonly cacheFolder: string;
  /** Of the transformer's files. */
  readonly modelKey: string;
  readonly signal?: AbortSignal;
}

/** What the weights of a precision have, and what is made with them, for sentences. */
const words = {
  int8: { bits: '8-bit', made: '8-bit products are made' },
  nf4: { bits: '4-bit', made: '4-bit weights are read' },
} as const;

/**
 * The transformer with its weights in few bits too, made once for a model, and for 8 bits once for a kind of processor.
 * @throws UserError for an engine that does not take them
 */
export async function quantized(
  model: SanaTransformer,
  { precision, engine, cacheFolder, modelKey, signal }: QuantizedOptions,
): Promise<SanaTransformer> {
  requireCpu(engine, precision);
  const file = (key: string): string => join(cacheFolder, precision, `${key}.safetensors`);
  const options = { modelKey, ...(signal && { signal }) };
  if (precision === 'nf4') return nf4Transformer(model, { file: file(keyOf({ modelKey })), ...options });
  const limit = await quantizedLimit(engine);
  return quantizeTransformer(model, { file: file(keyOf({ modelKey, limit })), limit, ...options });
}

function requireCpu({ name }: Engine, precision: QuantizedOptions['precision']): void {
  if (name === 'onnxruntime (cpu)') return;
  throw new UserError(
    `${words[precision].made} by onnxruntime on the CPU alone, and the engine is ${name}; use the engine cpu, or the precision fp32.`,
  );
}

/**
 * The pipeline with its text encoder in a precision; its weights in few bits are made once for a model, when it is first
 * loaded.
 * @throws UserError when it is loaded, for an engine that does not take them
 */
export function withTextPrecision(
  pipeline: SanaPipeline,
  precision: TextPrecision,
  { engine, cacheFolder, textKey, signal }: TextPrecisionOptions,
): SanaPipeline {
  if (precision === 'fp32') return pipeline;
  const load = async (): Promise<PromptEncoder> => {
    requireCpu(engine, precision);
    const { textEncoder, tokenizer } = await pipeline.loadPromptEncoder();
    const limit = await quantizedLimit(engine);
    const [modelKey, options] = [await textKey(), { limit, ...(signal && { signal }) }];
    const file = join(cacheFolder, precision, `${keyOf({ modelKey, limit })}.safetensors`);
    return { tokenizer, textEncoder: await quantizeGemma2(textEncoder, { file, modelKey, ...options }) };
  };
  let loading: Promise<PromptEncoder> | undefined;
  return { ...pipeline, loadPromptEncoder: () => (loading ??= load()) };
}

/** What {@link withTextPrecision} needs. */
export interface TextPrecisionOptions extends Omit<QuantizedOptions, 'modelKey' | 'precision'> {
  /** Key of the text encoder's files. */
  readonly textKey: () => string | Promise<string>;
}

/** What {@link inPrecision} needs. */
export interface BasePrecisionOptions extends Omit<QuantizedOptions, 'cacheFolder' | 'precision'> {
  readonly precision: BasePrecision;
  readonly cache: Pick<Cache, 'folder'>;
}

/** The frozen transformer in the precision of `train.precision`. */
export async function* inPrecision(
  model: SanaTransformer,
  { precision, cache, ...options }: BasePrecisionOptions,
): AsyncGenerator<TrainEvent, SanaTransformer> {
  if (precision === 'fp32') return model;
  const what = `set of ${words[precision].bits} weights`;
  const stage = { kind: 'stage', stage: 'cache', total: 1, what } as const;
  yield { ...stage, done: 0 };
  const made = await quantized(model, { ...options, precision, cacheFolder: cache.folder });
  yield { ...stage, done: 1 };
  return made;
}
