import { numTrainTimesteps, shiftSigma } from '../src/flow/sigmas.ts';
import { checkSolverOptions, linearCombination, linspace, sigmasOfStep } from './solver.ts';
import type { Solver, SolverState } from './solver.ts';

/** How noise levels lie. */
export type UniPcSpacing = 'flow' | 'log_snr';

/** Options of UniPC; names as in diffusers' UniPCMultistepScheduler. */
export interface FlowUniPcOptions {
  /** Model calls. */
  readonly steps: number;
  /** Sana's flow_shift. */
  readonly shift: number;
  /** Predictions that a step combines; its corrector has one more, and two on 'log_snr' levels. @default 2 */
  readonly solverOrder?: 1 | 2 | 3;
  /** B(h): 'bh1' is h, 'bh2' is e^h - 1. @default 'bh2' */
  readonly solverType?: 'bh1' | 'bh2';
  /** Falls back to lower orders in the last steps. @default true */
  readonly lowerOrderFinal?: boolean;
  /**
   * 'flow' is even before the shift, as in diffusers. 'log_snr' is nearly even in log((1 - sigma) / sigma), which puts more
   * steps where there is nearly all noise or nearly none. @default 'flow'
   */
  readonly spacing?: UniPcSpacing;
}

/**
 * UniPC (Zhao et al., arXiv 2302.04867) for flow models, predicting x0: each step's prediction first corrects the step
 * before it, at no further call of the model, and then makes the next. As diffusers computes it with predict_x0,
 * use_flow_sigmas and final_sigmas_type zero; alpha = 1 - sigma, lambda = log(alpha / sigma). The last step, to sigma 0,
 * is of first order.
 */
export function createFlowUniPc(options: FlowUniPcOptions): Solver {
  const { steps, shift, solverOrder = 2, solverType = 'bh2', lowerOrderFinal = true, spacing = 'flow' } = options;
  checkSolverOptions(steps, shift);
  const { sigmas, timesteps } = spacing === 'flow' ? flowLevels(steps, shift) : logSnrLevels(steps, shift);

  // Found with the levels: a line through two predictions came nearer on them than a curve through three.
  const correctorOrder = spacing === 'flow' ? solverOrder : 1;

  function orderAt(i: number): number {
    if (i === steps - 1) return 1;
    return Math.min(solverOrder, i + 1, lowerOrderFinal ? steps - i : solverOrder);
  }

  return {
    name: spacing === 'flow' ? 'flow_unipc' : 'flow_unipc_log_snr',
    timesteps,
    sigmas,
    initialState: { history: [] },
    step(modelOutput, i, sample, { history, lastSample }) {
      const [sigma] = sigmasOfStep(sigmas, i);
      const predicted = linearCombination([1, -sigma], [sample, modelOutput]);
      if (i > 0 && (!lastSample || history.length < orderAt(i - 1))) {
        throw new RangeError(`createFlowUniPc: step ${i} needs the state after step ${i - 1}`);
      }
      const newestFirst = history.toReversed();
      let corrected = sample;
      if (lastSample) {
        const order = Math.min(orderAt(i - 1), correctorOrder);
        const { ofSample, ofPredictions } = stepWeights(sigmas, i - 1, order, solverType, true);
        const predictions = [predicted, ...newestFirst.slice(0, order)];
        corrected = linearCombination([ofSample, ...ofPredictions], [lastSample, ...predictions]);
      }
      const order = orderAt(i);
      const predictions = [predicted, ...newestFirst];
      const { ofSample, ofPredictions } = stepWeights(sigmas, i, order, solverType, false);
      return {
        sample: linearCombination([ofSample, ...ofPredictions], [corrected, ...predictions.slice(0, order)]),
        state: {
          history: [...history, predicted].slice(-solverOrder),
          lastSample: corrected,
        } satisfies SolverState,
      };
    },
  };
}

// numpy's operations in diffusers' order, in float64: timesteps are truncated, so a last bit can decide.
function flowLevels(steps: number, shift: number): { sigmas: Float32Array; timesteps: Float32Array } {
  const shifted = linspace(1, 1 / numTrainTimesteps, steps + 1)
    .subarray(0, steps)
    .map((sigma) => shiftSigma(sigma, shift));
  // Pure noise has no log-SNR.
  if (shifted[0] !== undefined && Math.abs(shifted[0] - 1) < 1e-6) shifted[0] -= 1e-6;
  return {
    sigmas: Float32Array.from([...shifted, 0]),
    timesteps: Float32Array.from(shifted, (sigma) => Math.trunc(sigma * numTrainTimesteps)),
  };
}

/**
 * From the noise where Flow-DPM-Solver begins, then by lambda, denser about the noise levels that decide what a picture
 * shows. The ends, before the shift, move outwards as steps grow more. All constants were found at 14 steps on sana-pico,
 * on 64 prompts of pico:score that docs/sampling.md's table does not have.
 */
function logSnrLevels(steps: number, shift: number): { sigmas: Float32Array; timesteps: Float32Array } {
  const [start, end] = [-Math.log(1.59 * steps), Math.log(5.43 * steps)];
  const levels = linspace(0, 1, Math.max(2, steps))
    .subarray(0, steps)
    .map((u, i) => {
      const angle = Math.PI * u;
      const warp = -0.074 * Math.sin(angle) + 0.027 * Math.sin(2 * angle) + 0.053 * Math.sin(3 * angle);
      const lambda = start + (end - start) * (u + warp / Math.PI);
      return shiftSigma(i === 0 ? 1 - 1 / numTrainTimesteps : 1 / (1 + Math.exp(lambda)), shift);
    });
  return {
    sigmas: Float32Array.from([...levels, 0]),
    timesteps: Float32Array.from(levels, (sigma) => sigma * numTrainTimesteps),
  };
}

/**
 * Weights of a step from sigma s to t: x_t = t / s x - alpha_t phi m0 - alpha_t B sum of rho_k D_k, with
 * h = lambda_t - lambda_s, phi = e^-h - 1, D_k = (m_k - m0) / r_k and r_k = (lambda_k - lambda_s) / h. For the
 * corrector m_t, the prediction at t, is one of the m_k, with r = 1. rho solves the paper's equation (5).
 * @returns of x; and of the predictions: for the corrector m_t first, then m0 (newest), m1 ...
 */
function stepWeights(
  sigmas: Float32Array,
  i: number,
  order: number,
  type: 'bh1' | 'bh2',
  isCorrector: boolean,
): { readonly ofSample: number; readonly ofPredictions: readonly number[] } {
  const [sigma, next] = sigmasOfStep(sigmas, i);
  const lambda = (at: number): number => Math.log((1 - (sigmas[at] ?? 0)) / (sigmas[at] ?? 0));
  const alpha = 1 - next;
  const h = lambda(i + 1) - lambda(i); // infinite in the last step, which is of first order
  const phi = Math.expm1(-h);
  const scale = type === 'bh1' ? -h : phi;

  const older = Array.from({ length: order - 1 }, (_, k) => (lambda(i - 1 - k) - lambda(i)) / h);
  const ratios = isCorrector ? [...older, 1] : older;
  const rhos = ratios.length === 1 ? [0.5] : solve(ratios, -h, phi, scale);
  const weights = ratios.map((ratio, k) => (-alpha * scale * (rhos[k] ?? 0)) / ratio);
  const newest = -alpha * phi - weights.reduce((sum, weight) => sum + weight, 0);
  const ofPredictions = isCorrector ? [weights.at(-1) ?? 0, newest, ...weights.slice(0, -1)] : [newest, ...weights];
  return { ofSample: next / sigma, ofPredictions };
}

/** rho of sum over k of r_k^(n-1) rho_k = n! phi_(n+1) / B for n from 1, by elimination; there are at most three. */
function solve(ratios: readonly number[], hh: number, phi: number, scale: number): readonly number[] {
  let phiN = phi / hh - 1;
  let factorial = 1;
  const rows = ratios.map((_, n) => {
    const row = [...ratios.map((ratio) => ratio ** n), (phiN * factorial) / scale];
    factorial *= n + 2;
    phiN = phiN / hh - 1 / factorial;
    return row;
  });
  for (const [n, pivot] of rows.entries()) {
    for (const [m, row] of rows.entries()) {
      if (m === n) continue;
      const factor = (row[n] ?? 0) / (pivot[n] ?? 1);
      for (let k = n; k < row.length; k++) row[k] = (row[k] ?? 0) - factor * (pivot[k] ?? 0);
    }
  }
  return rows.map((row, n) => (row.at(-1) ?? 0) / (row[n] ?? 1));
}
