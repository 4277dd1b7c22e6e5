import { env, LogLevel, ModelRegistry } from '@huggingface/transformers';

import { UserError } from '../errors.ts';
import { quoted } from '../io/json.ts';
import type { ModelAccess, WeightsDtype } from './transformers-messages.ts';

/** transformers.js' names of precisions, the preferred one first. */
const dtypeNames = {
  // The smallest there is; 16 bits come last, since onnxruntime's CPU kernels compute in 32 anyway.
  auto: ['q4', 'q8', 'int8', 'uint8', 'fp32', 'fp16'],
  fp32: ['fp32'],
  fp16: ['fp16'],
  int8: ['q8', 'int8', 'uint8'],
  int4: ['q4', 'bnb4'],
} as const satisfies Readonly<Record<WeightsDtype, readonly string[]>>;

/** What from_pretrained of transformers.js takes. */
export interface PretrainedOptions {
  readonly dtype: 'fp32' | 'fp16' | 'q8' | 'int8' | 'uint8' | 'q4' | 'bnb4';
  readonly local_files_only: boolean;
  readonly session_options: { readonly intraOpNumThreads?: number };
}

/** Tells transformers.js where models come from and where they are kept. */
export function setModelAccess({ remote, host, cacheDir }: ModelAccess): void {
  env.allowRemoteModels = remote;
  env.remoteHost = host.replace(/\/*$/, '/');
  env.cacheDir = cacheDir;
  env.logLevel = LogLevel.ERROR;
}

/**
 * Chooses the files of a model.
 * @throws UserError when it lacks those of the wanted precision
 */
export async function pretrainedOptions(
  model: string,
  dtype: WeightsDtype,
  { remote, threads }: ModelAccess,
): Promise<PretrainedOptions> {
  const there = await ModelRegistry.get_available_dtypes(model, { local_files_only: !remote });
  const found = dtypeNames[dtype].find((name) => there.includes(name));
  if (found === undefined) {
    const has = there.length === 0 ? 'has no ONNX files' : `has ${there.join(', ')}`;
    throw new UserError(`${model} has no weights of dtype ${dtype}: it ${has}; choose another dtype or model.`);
  }
  return {
    dtype: found,
    local_files_only: !remote,
    session_options: { ...(threads !== undefined && { intraOpNumThreads: threads }) },
  };
}

/** What went wrong with a model, as a sentence for the user where that is likely to be one. */
export function modelError(error: unknown, model: string): Error {
  if (error instanceof UserError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new UserError(
    `The model ${model} could not be loaded (${quoted(reason)}); name a folder or an id of Hugging Face with config.json, tokenizer.json and onnx/*.onnx, as transformers.js needs them.`,
    { cause: error },
  );
}
