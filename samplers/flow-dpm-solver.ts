import { numTrainTimesteps, shiftSigma } from '../src/flow/sigmas.ts';
import { checkSolverOptions, linearCombination, linspace, sigmasOfStep } from './solver.ts';
import type { Solver, SolverState } from './solver.ts';

/** Options of the Flow-DPM-Solver; names as in diffusers' DPMSolverMultistepScheduler. */
export interface FlowDpmSolverOptions {
  /** Model calls; 14 to 20 do what Flow-Euler needs 28 to 50 for. */
  readonly steps: number;
  /** Sana's flow_shift. */
  readonly shift: number;
  /** Predictions that a step combines. @default 2 */
  readonly solverOrder?: 1 | 2 | 3;
  /** The form of the second-order step. @default 'midpoint' */
  readonly solverType?: 'midpoint' | 'heun';
  /** Falls back to lower orders in the last steps when there are fewer than 15. @default true */
  readonly lowerOrderFinal?: boolean;
}

/**
 * Multistep DPM-Solver++ (Lu et al., arXiv 2211.01095) for flow models: Sana's Flow-DPM-Solver as diffusers computes
 * it with algorithm_type dpmsolver++, use_flow_sigmas and final_sigmas_type zero. alpha = 1 - sigma,
 * lambda = log(alpha / sigma); the last step, to sigma 0, is of first order.
 */
export function createFlowDpmSolver(options: FlowDpmSolverOptions): Solver {
  const { steps, shift, solverOrder = 2, solverType = 'midpoint', lowerOrderFinal = true } = options;
  checkSolverOptions(steps, shift);
  const { sigmas, timesteps } = noiseLevels(steps, shift);
  const fewSteps = lowerOrderFinal && steps < 15;

  function orderAt(i: number): number {
    if (i === steps - 1) return 1;
    return Math.min(solverOrder, i + 1, fewSteps && i === steps - 2 ? 2 : 3);
  }

  return {
    name: 'flow_dpm_solver',
    timesteps,
    sigmas,
    initialState: { history: [] },
    step(modelOutput, i, sample, { history }) {
      const [sigma, next] = sigmasOfStep(sigmas, i);
      // x0 = x - sigma v. NVlabs' sampler divides by 1 - sigma instead, which is 3e-4 at the first step.
      const predicted = linearCombination([1, -sigma], [sample, modelOutput]);
      const predictions = [...history, predicted].slice(-solverOrder);
      const order = orderAt(i);
      if (predictions.length < order) {
        throw new RangeError(
          `createFlowDpmSolver: step ${i} needs the state after step ${i - 1}; it holds ${history.length} of ${order - 1} predictions`,
        );
      }
      const weights = stepWeights(sigmas, i, order, solverType);
      return {
        sample: linearCombination([next / sigma, ...weights], [sample, ...predictions.toReversed().slice(0, order)]),
        state: { history: predictions } satisfies SolverState,
      };
    },
  };
}

// numpy's operations in diffusers' order, in float64: timesteps are truncated, so a last bit can decide.
function noiseLevels(steps: number, shift: number): { sigmas: Float32Array; timesteps: Float32Array } {
  const shifted = linspace(1, 1 / numTrainTimesteps, steps + 1)
    .map((alpha) => shiftSigma(1 - alpha, shift))
    .reverse()
    .subarray(0, steps);
  return {
    sigmas: Float32Array.from([...shifted, 0]),
    timesteps: Float32Array.from(shifted, (sigma) => Math.trunc(sigma * numTrainTimesteps)),
  };
}

/**
 * The weights of the predictions m0 (newest), m1, m2 in a step from sigma s to t, with h = lambda_t - lambda_s,
 * phi = alpha_t (exp(-h) - 1), r0 = h0 / h and r1 = h1 / h for the steps before it:
 * first order -phi m0; second -phi (m0 + D1 / 2) (midpoint) or -phi m0 + alpha_t ((exp(-h) - 1) / h + 1) D1 (heun),
 * D1 = (m0 - m1) / r0; third as in the paper's appendix, with D1 and D2 from both differences.
 */
function stepWeights(sigmas: Float32Array, i: number, order: number, type: 'midpoint' | 'heun'): readonly number[] {
  const [sigma, next] = sigmasOfStep(sigmas, i);
  const alpha = 1 - next;
  const lambda = (at: number): number => Math.log((1 - (sigmas[at] ?? 0)) / (sigmas[at] ?? 0));
  const decay = (next / sigma) * ((1 - sigma) / alpha); // exp(-h), 0 at the last step, where h is infinite
  const phi = alpha * (decay - 1);
  if (order === 1) return [-phi];

  const h = lambda(i + 1) - lambda(i);
  const r0 = (lambda(i) - lambda(i - 1)) / h;
  const slope = alpha * ((decay - 1) / h + 1);
  if (order === 2) {
    const difference = (type === 'midpoint' ? -phi / 2 : slope) / r0;
    return [-phi + difference, -difference];
  }
  const r1 = (lambda(i - 1) - lambda(i - 2)) / h;
  const curvature = alpha * ((decay - 1 + h) / (h * h) - 0.5);
  // D1 = a + (r0 / (r0 + r1)) (a - b) and D2 = (a - b) / (r0 + r1) with a = (m0 - m1) / r0, b = (m1 - m2) / r1.
  const change = (slope * r0 - curvature) / (r0 + r1);
  const newer = (slope + change) / r0;
  const older = -change / r1;
  return [-phi + newer, older - newer, -older];
}
