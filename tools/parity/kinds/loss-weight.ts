import { z } from 'zod';
import { lossWeight } from '../../../src/flow/objective.ts';
import { weightingSchemes } from '../../../src/flow/timestep-sampling.ts';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';

const paramsSchema = z.object({ weighting_scheme: z.enum(weightingSchemes) });

/** The weight of the loss at each sigma. */
export async function run({ params, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const { weighting_scheme: scheme } = paramsSchema.parse(params);
  const sigmas = inputOf(inputs, 'sigmas');
  return new Map([
    [
      'weights',
      float32(
        sigmas.shape,
        toFloat32(sigmas).map((sigma) => lossWeight(scheme, sigma)),
      ),
    ],
  ]);
}
