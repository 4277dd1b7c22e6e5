import { z } from 'zod';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import type { Optimizer, Params } from '../../../src/optim/optimizer.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';

const common = {
  lr: z.number(),
  betas: z.tuple([z.number(), z.number()]),
  eps: z.number(),
  weight_decay: z.number(),
};
const paramsSchema = z.discriminatedUnion('optimizer', [
  z.object({ optimizer: z.literal('adamw'), ...common }),
  z.object({
    optimizer: z.literal('prodigy'),
    ...common,
    beta3: z.number().nullish(),
    d0: z.number(),
    d_coef: z.number(),
    growth_rate: z.number().or(z.literal(Number.POSITIVE_INFINITY)),
    decouple: z.boolean(),
    use_bias_correction: z.boolean(),
    safeguard_warmup: z.boolean(),
    slice_p: z.literal(1).default(1),
  }),
]);

function optimizerOf(p: z.infer<typeof paramsSchema>): Optimizer {
  const shared = { betas: p.betas, eps: p.eps, weightDecay: p.weight_decay };
  if (p.optimizer === 'adamw') return createOptimizer({ name: 'adamw', ...shared });
  return createOptimizer({
    name: 'prodigy',
    ...shared,
    ...(typeof p.beta3 === 'number' ? { beta3: p.beta3 } : {}),
    d0: p.d0,
    dCoef: p.d_coef,
    growthRate: p.growth_rate,
    decouple: p.decouple,
    useBiasCorrection: p.use_bias_correction,
    safeguardWarmup: p.safeguard_warmup,
  });
}

/** The parameters after every step on the recorded gradients. */
export async function run({ params, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const p = paramsSchema.parse(params);
  const optimizer = optimizerOf(p);
  const indices = [...inputs.keys()]
    .filter((name) => name.startsWith('start.'))
    .map((name) => name.slice('start.'.length));
  const weights: Params = new Map(
    indices.map((index) => {
      const start = inputOf(inputs, `start.${index}`);
      return [index, float32(start.shape, toFloat32(start).slice())] as const;
    }),
  );
  const state = optimizer.init(weights);
  const paths = new Map<string, Tensor>();
  const [steps = 0] = inputOf(inputs, `grad.${indices[0] ?? '0'}`).shape;
  for (const [index, { shape, data }] of weights) {
    paths.set(`path.${index}`, float32([steps, ...shape], new Float32Array(steps * data.length)));
  }
  for (let step = 0; step < steps; step++) {
    const grads: Params = new Map(
      [...weights].map(([index, { shape, data }]) => {
        const all = toFloat32(inputOf(inputs, `grad.${index}`));
        return [index, float32(shape, all.slice(step * data.length, (step + 1) * data.length))] as const;
      }),
    );
    optimizer.update(weights, grads, state, p.lr);
    for (const [index, { data }] of weights) toFloat32(inputOf(paths, `path.${index}`)).set(data, step * data.length);
  }
  return paths;
}
