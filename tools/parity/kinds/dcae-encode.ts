import path from 'node:path';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createDcAe, loadDcAe } from '../../../src/models/dc-ae.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';
import { closeSharedEngine, sharedEngine } from '../pipeline.ts';

/** AutoencoderDC's encoder: pictures in -1 to 1 to latents, without the scaling factor. */
export async function run({ folder, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const dcAe = createDcAe(sharedEngine(), await loadDcAe(path.join(folder, 'pipeline', 'vae')));
  const latent = await dcAe.encode(inputOf(inputs, 'image'));
  await dcAe.dispose();
  return new Map([['latent', latent]]);
}

export const dispose = closeSharedEngine;
