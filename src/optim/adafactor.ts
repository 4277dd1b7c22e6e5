import { elementCount } from '../graph/tensor.ts';
import {
  clipRootMeanSquare,
  divideByFactoredRoot,
  divideByRoot,
  rootMeanSquare,
  squaresPlus,
  subtractScaled,
  updateFactors,
  updateMean,
} from './factored.ts';
import type { MatrixView } from './factored.ts';
import { scaleGradients } from './gradients.ts';
import { elementsOf, zerosOf } from './optimizer.ts';
import type { Float32Tensor, Optimizer } from './optimizer.ts';

/** Options of Adafactor; names as in transformers.Adafactor, but the defaults let the schedule set the learning rate. */
export interface AdafactorOptions {
  /** Added to the squared gradient; the least scale that `scaleParameter` uses. @default [1e-30, 1e-3] */
  readonly eps?: readonly [number, number];
  /** The largest root mean square of an update. @default 1 */
  readonly clipThreshold?: number;
  /** The second moment's decay at step t is 1 - t^decayRate. @default -0.8 */
  readonly decayRate?: number;
  /** Decay of a mean of the updates; absent, there is none and no memory for it. @default undefined */
  readonly beta1?: number;
  /** The share of a weight that a step at learning rate 1 takes away. @default 0 */
  readonly weightDecay?: number;
  /** Multiplies the learning rate by the root mean square of each tensor; transformers' default is true. @default false */
  readonly scaleParameter?: boolean;
  /**
   * Uses min(1e-2, 1 / sqrt(step)) and not the schedule's learning rate, which is then ignored; transformers' default
   * is true. @default false
   */
  readonly relativeStep?: boolean;
  /** With `relativeStep`, 1e-6 step in place of 1e-2. @default false */
  readonly warmupInit?: boolean;
}

/**
 * Adafactor as transformers.Adafactor computes it (Shazeer and Stern, arXiv 1804.04235): Adam with the second moment
 * of every matrix kept as one mean per row and one per column.
 */
export function adafactor({
  eps = [1e-30, 1e-3],
  clipThreshold = 1,
  decayRate = -0.8,
  beta1,
  weightDecay = 0,
  scaleParameter = false,
  relativeStep = false,
  warmupInit = false,
}: AdafactorOptions = {}): Optimizer {
  return {
    name: 'adafactor',
    init(params) {
      const tensors = [...params].flatMap(([name, { shape }]): (readonly [string, Float32Tensor])[] => {
        const mean = beta1 === undefined ? [] : [[`exp_avg.${name}`, zerosOf(shape)] as const];
        if (shape.length < 2) return [...mean, [`exp_avg_sq.${name}`, zerosOf(shape)]];
        return [
          ...mean,
          [`exp_avg_sq_row.${name}`, zerosOf(shape.slice(0, -1))],
          [`exp_avg_sq_col.${name}`, zerosOf([...shape.slice(0, -2), ...shape.slice(-1)])],
        ];
      });
      return { tensors: new Map(tensors), scalars: { step: 0 } };
    },
    update(params, grads, { tensors, scalars }, lr, scale = 1) {
      scaleGradients(grads, scale);
      const step = (scalars['step'] ?? 0) + 1;
      scalars['step'] = step;
      const decay = 1 - step ** decayRate;
      const relative = Math.min(warmupInit ? 1e-6 * step : 1e-2, 1 / Math.sqrt(step));
      const largest = Math.max(0, ...[...params.values()].map(({ data }) => data.length));
      const scratch = new Float32Array(largest);
      for (const [name, { shape, data: p }] of params) {
        const g = elementsOf(grads, name, p.length);
        const scale = scaleParameter ? Math.max(eps[1], rootMeanSquare(p)) : 1;
        const rate = scale * (relativeStep ? relative : lr);
        const update = scratch.subarray(0, p.length);
        squaresPlus(g, eps[0], update);
        if (shape.length < 2) {
          const square = elementsOf(tensors, `exp_avg_sq.${name}`, p.length);
          updateMean(square, update, decay);
          divideByRoot(g, square, update);
        } else {
          const view = lastTwoDimensions(shape);
          const row = elementsOf(tensors, `exp_avg_sq_row.${name}`, view.batch * view.rows);
          const column = elementsOf(tensors, `exp_avg_sq_col.${name}`, view.batch * view.columns);
          updateFactors(update, view, row, column, decay);
          divideByFactoredRoot(g, view, row, column, update);
        }
        clipRootMeanSquare(update, clipThreshold);
        const keep = 1 - weightDecay * rate;
        if (beta1 === undefined) {
          subtractScaled(p, keep, update, rate);
          continue;
        }
        // The mean is of updates with their learning rates, so it is subtracted as it is.
        for (let i = 0; i < update.length; i++) update[i] = (update[i] ?? 0) * rate;
        const mean = elementsOf(tensors, `exp_avg.${name}`, p.length);
        updateMean(mean, update, beta1);
        subtractScaled(p, keep, mean, 1);
      }
    },
  };
}

function lastTwoDimensions(shape: readonly number[]): MatrixView {
  const [rows = 1, columns = 1] = shape.slice(-2);
  return { batch: elementCount(shape.slice(0, -2)), rows, columns };
}
