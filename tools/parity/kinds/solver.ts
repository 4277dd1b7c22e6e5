import { z } from 'zod';
import { createFlowDpmSolver } from '../../../samplers/flow-dpm-solver.ts';
import { createFlowEuler } from '../../../samplers/flow-euler.ts';
import { solverNames } from '../../../samplers/solver.ts';
import { float32, toFloat32 } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { inputOf } from '../cases.ts';
import type { ParityCase } from '../cases.ts';

const paramsSchema = z.object({ solver: z.enum(solverNames), steps: z.number(), shift: z.number() });

/** The path of x_{i+1} from v(x, sigma) = sin(2x)(1 - sigma) + 0.3 x sigma - 0.2. */
export async function run({ params, inputs }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const { solver: name, steps, shift } = paramsSchema.parse(params);
  const solver = name === 'flow_euler' ? createFlowEuler({ steps, shift }) : createFlowDpmSolver({ steps, shift });
  const start = inputOf(inputs, 'start');
  let sample = toFloat32(start);
  let state = solver.initialState;
  const path = new Float32Array(steps * sample.length);
  for (let i = 0; i < steps; i++) {
    const sigma = solver.sigmas[i] ?? 0;
    const velocity = sample.map((x) => Math.sin(2 * x) * (1 - sigma) + 0.3 * x * sigma - 0.2);
    ({ sample, state } = solver.step(velocity, i, sample, state));
    path.set(sample, i * sample.length);
  }
  return new Map([
    ['timesteps', float32([steps], solver.timesteps)],
    ['sigmas', float32([steps + 1], solver.sigmas)],
    ['path', float32([steps, ...start.shape], path)],
  ]);
}
