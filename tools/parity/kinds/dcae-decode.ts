import path from 'node:path';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createDcAe, loadDcAe } from '../../../src/models/dc-ae.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';
import { closeSharedEngine, sharedEngine } from '../pipeline.ts';

/** AutoencoderDC's decoder: latents, without the scaling factor, to pictures. */
export async function run({ folder, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const dcAe = createDcAe(sharedEngine(), await loadDcAe(path.join(folder, 'pipeline', 'vae')));
  const image = await dcAe.decode(inputOf(inputs, 'latent'));
  await dcAe.dispose();
  return new Map([['image', image]]);
}

export const dispose = closeSharedEngine;
