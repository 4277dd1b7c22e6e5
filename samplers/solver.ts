/** What a solver carries from step to step: predictions of the clean latents, the oldest first. Plain data. */
export interface SolverState {
  readonly history: readonly Float32Array[];
  /** The latents that the last step began with, corrected; of solvers that correct. */
  readonly lastSample?: Float32Array;
}

/** A way from noise to latents: noise levels and a step between two of them; knows no model and no files. */
export interface Solver {
  readonly name: SolverName;
  /** What the model is told at each step: [steps]. */
  readonly timesteps: Float32Array;
  /** The noise level before each step and, last, after the final one: [steps + 1], falling to 0. */
  readonly sigmas: Float32Array;
  /** The state before the first step. */
  readonly initialState: SolverState;
  /**
   * The latents at `sigmas[i + 1]`. Neither `sample` nor `state` is changed.
   * @param modelOutput the velocity that the model predicts for `sample`, after guidance
   * @param i the step, from 0
   * @param sample the latents at `sigmas[i]`
   */
  step(modelOutput: Float32Array, i: number, sample: Float32Array, state: SolverState): SolverStep;
}

/** What a solver's step gives. */
export interface SolverStep {
  readonly sample: Float32Array;
  readonly state: SolverState;
}

/** Names that a config's `solver` may have. */
export const solverNames = ['flow_dpm_solver', 'flow_euler', 'flow_unipc', 'flow_unipc_log_snr'] as const;

/** One of `solverNames`. */
export type SolverName = (typeof solverNames)[number];

/** `sum of weights[j] * terms[j]`, element by element, rounded once to float32. */
export function linearCombination(weights: readonly number[], terms: readonly Float32Array[]): Float32Array {
  const [first] = terms;
  const out = new Float64Array(first?.length ?? 0);
  terms.forEach((term, j) => {
    if (term.length !== out.length) {
      throw new RangeError(`solver: latents of ${out.length} elements do not go with ${term.length} elements`);
    }
    const weight = weights[j] ?? 0;
    for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + weight * (term[i] ?? 0);
  });
  return Float32Array.from(out);
}

/** The noise levels at a step's two ends. @throws RangeError when `i` is no step of the solver */
export function sigmasOfStep(sigmas: Float32Array, i: number): readonly [number, number] {
  const [from, to] = [sigmas[i], sigmas[i + 1]];
  if (from === undefined || to === undefined) {
    throw new RangeError(`solver: step ${i} of a solver with ${sigmas.length - 1} steps, which count from 0`);
  }
  return [from, to];
}

/** @throws RangeError unless `steps` is a whole number from 1 and `shift` is above 0 */
export function checkSolverOptions(steps: number, shift: number): void {
  if (!Number.isInteger(steps) || steps < 1)
    throw new RangeError(`solver: steps is ${steps}; use a whole number from 1`);
  if (!(shift > 0)) throw new RangeError(`solver: shift is ${shift}; use a number above 0`);
}

/** `count` numbers from `start` to `stop`, computed in numpy.linspace's order so that truncation agrees. */
export function linspace(start: number, stop: number, count: number): Float64Array {
  const step = (stop - start) / (count - 1);
  return Float64Array.from({ length: count }, (_, i) => {
    if (i === 0) return start;
    return i === count - 1 ? stop : i * step + start;
  });
}
