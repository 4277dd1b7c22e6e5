import { z } from 'zod';
import { trainSigmas } from '../../../src/flow/sigmas.ts';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';

const paramsSchema = z.object({ shift: z.number() });

/** Rows of the training table. */
export async function run({ params, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const { sigmas, timesteps } = trainSigmas(paramsSchema.parse(params).shift);
  const index = inputOf(inputs, 'index');
  const rows = toFloat32(index);
  return new Map([
    [
      'sigmas',
      float32(
        index.shape,
        rows.map((row) => sigmas[row] ?? Number.NaN),
      ),
    ],
    [
      'timesteps',
      float32(
        index.shape,
        rows.map((row) => timesteps[row] ?? Number.NaN),
      ),
    ],
  ]);
}
