import { z } from 'zod';
import { sampleDensity, weightingSchemes } from '../../../src/flow/timestep-sampling.ts';
import { float32 } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createRandom } from '../../../src/random.ts';
import type { ParityCase } from '../cases.ts';

const paramsSchema = z.object({
  weighting_scheme: z.enum(weightingSchemes),
  logit_mean: z.number().default(0),
  logit_std: z.number().default(1),
  mode_scale: z.number().default(1.29),
});

/** Quantiles of draws are compared by absolute difference. */
export const comparison = 'absolute';

/** The quantiles .05, .10 ... .95 over 20,000 draws. */
export async function run({ params }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const p = paramsSchema.parse(params);
  const random = createRandom('timestep_density');
  const options = { logitMean: p.logit_mean, logitStd: p.logit_std, modeScale: p.mode_scale };
  const draws = Float64Array.from({ length: 20_000 }, () => sampleDensity(p.weighting_scheme, random, options)).sort();
  const at = Float32Array.from({ length: 19 }, (_, i) => 0.05 * (i + 1));
  const quantiles = at.map((q) => draws[Math.round(q * (draws.length - 1))] ?? Number.NaN);
  return new Map([
    ['quantiles', float32([19], quantiles)],
    ['at', float32([19], at)],
  ]);
}
