import path from 'node:path';
import { createOnnxruntimeEngine } from '../../src/engine/onnxruntime.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { float32, toFloat32 } from '../../src/graph/tensor.ts';
import { loadSanaTransformer, type SanaTransformer } from '../../src/models/load-sana-transformer.ts';
import type { NamedBatch } from '../../trainers/lora.ts';
import { inputOf, type ParityCase } from './cases.ts';

let create: () => Engine = createOnnxruntimeEngine;
let engine: Engine | undefined;

/** Lets all cases run on another engine than onnxruntime's on the CPU. Call it before the first case. */
export function useEngine(createEngine: () => Engine): void {
  create = createEngine;
}

/** The engine that all cases of a run share: WebGPU allows no second one beside it. */
export function sharedEngine(): Engine {
  engine ??= create();
  return engine;
}

/** Ends the shared engine. */
export async function closeSharedEngine(): Promise<void> {
  await engine?.close();
  engine = undefined;
}

const transformers = new Map<string, Promise<SanaTransformer>>();

/** The transformer of a folder of cases, opened once. */
export function transformerOf({ folder }: ParityCase): Promise<SanaTransformer> {
  let opened = transformers.get(folder);
  if (!opened) transformers.set(folder, (opened = loadSanaTransformer(path.join(folder, 'pipeline', 'transformer'))));
  return opened;
}

/** A training batch out of a case's tensors; guided models are told sigma itself, and a guidance of 4.5. */
export function batchOf({ inputs }: ParityCase, { config }: SanaTransformer, prefix = ''): NamedBatch {
  const take = (name: string): ReturnType<typeof float32> => {
    const { shape, data } = inputOf(inputs, prefix + name);
    return float32(shape, toFloat32({ dtype: 'float32', shape, data }));
  };
  const sigmas = [...take('sigma').data];
  return {
    ids: sigmas.map((_, i) => `${prefix}${i}`),
    latents: take('latents'),
    noise: take('noise'),
    sigmas,
    promptEmbeds: take('prompt_embeds'),
    promptAttentionMask: take('prompt_attention_mask'),
    ...(config.guidance_embeds && {
      timesteps: sigmas,
      guidance: sigmas.map(() => 4.5 * config.guidance_embeds_scale),
    }),
  };
}
