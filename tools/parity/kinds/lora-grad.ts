import path from 'node:path';
import { z } from 'zod';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { type Adapter, readAdapter } from '../../../src/lora/adapter-file.ts';
import { createTrainingStep } from '../../../src/lora/training-step.ts';
import { sanaModules } from '../../../src/models/sana-transformer-config.ts';
import type { Params } from '../../../src/optim/optimizer.ts';
import type { ParityCase } from '../cases.ts';
import { batchOf, closeSharedEngine, sharedEngine, transformerOf } from '../pipeline.ts';

/** The adapter that a case starts from. */
export async function adapterOf(parityCase: ParityCase): Promise<Adapter> {
  const { adapter } = z.object({ adapter: z.string() }).parse(parityCase.params);
  const { config } = await transformerOf(parityCase);
  return readAdapter(path.join(parityCase.folder, adapter), sanaModules(config));
}

/** An adapter's tensors as parameters to train: copies in float32. */
export function parametersOf({ tensors }: Adapter): Params {
  return new Map([...tensors].map(([name, value]) => [name, float32(value.shape, toFloat32(value).slice())]));
}

/** make_cases.py calls DoRA's magnitudes as peft's modules do, with a `.weight` that the file has not. */
export function asExpected(tensors: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
  return new Map([...tensors].map(([name, value]) => [name.replace(/lora_magnitude_vector$/, '$&.weight'), value]));
}

export async function run(parityCase: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const model = await transformerOf(parityCase);
  const adapter = await adapterOf(parityCase);
  const step = await createTrainingStep(sharedEngine(), model, adapter.modules);
  const { loss, gradients } = await step.run(batchOf(parityCase, model), parametersOf(adapter));
  await step.dispose();
  return new Map<string, Tensor>([['loss', float32([], [loss])], ...asExpected(gradients)]);
}

export const dispose = closeSharedEngine;
