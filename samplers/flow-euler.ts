import { numTrainTimesteps, shiftSigma, trainSigmas } from '../src/flow/sigmas.ts';
import { checkSolverOptions, linearCombination, linspace, sigmasOfStep } from './solver.ts';
import type { Solver } from './solver.ts';

/** Options of Flow-Euler. */
export interface FlowEulerOptions {
  /** Model calls; 28 to 50 are usual. */
  readonly steps: number;
  /** `shift` of the scheduler's config. */
  readonly shift: number;
}

/**
 * Euler steps x + (sigma' - sigma) v along the flow, as diffusers' FlowMatchEulerDiscreteScheduler computes them.
 * Its noise levels run between the ends of the training table, which is shifted already, and are shifted once more.
 */
export function createFlowEuler({ steps, shift }: FlowEulerOptions): Solver {
  checkSolverOptions(steps, shift);
  const table = trainSigmas(shift).sigmas;
  const [first, last] = [table[0] ?? 1, table[table.length - 1] ?? 0];
  const levels = linspace(first * numTrainTimesteps, last * numTrainTimesteps, steps);
  const shifted = Float32Array.from(levels, (timestep) => shiftSigma(timestep / numTrainTimesteps, shift));
  const sigmas = Float32Array.from([...shifted, 0]);
  return {
    name: 'flow_euler',
    timesteps: shifted.map((sigma) => sigma * numTrainTimesteps),
    sigmas,
    initialState: { history: [] },
    step(modelOutput, i, sample, state) {
      const [sigma, next] = sigmasOfStep(sigmas, i);
      return { sample: linearCombination([1, next - sigma], [sample, modelOutput]), state };
    },
  };
}
