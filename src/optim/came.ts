import {
  clipRootMeanSquare,
  divideByFactoredRoot,
  divideByRoot,
  squaresPlus,
  subtractScaled,
  updateFactors,
  updateMean,
} from './factored.ts';
import type { MatrixView } from './factored.ts';
import { scaleGradients } from './gradients.ts';
import { elementsOf, zerosOf } from './optimizer.ts';
import type { Float32Tensor, Optimizer } from './optimizer.ts';

/** Options of CAME; the defaults are those of the paper's code and of NVlabs/Sana. */
export interface CameOptions {
  /** Decay of the mean update, of the second moment and of the instability. @default [0.9, 0.999, 0.9999] */
  readonly betas?: readonly [number, number, number];
  /** Added to the squared gradient and to the squared deviation. @default [1e-30, 1e-16] */
  readonly eps?: readonly [number, number];
  /** The largest root mean square of an update. @default 1 */
  readonly clipThreshold?: number;
  /** The share of a weight that a step at learning rate 1 takes away. @default 0 */
  readonly weightDecay?: number;
}

/**
 * CAME (Luo et al., arXiv 2307.02047), the optimizer that Sana was trained with, as NVlabs/Sana has it
 * (diffusion/utils/optimizer.py): Adafactor's update, averaged, then divided by the root of a factored estimate of how
 * far each update strays from that average. Matrices and 1x1 convolutions are factored; other shapes keep the whole
 * second moment and are not divided again. Sana's learning rate is 1e-4.
 */
export function came({
  betas = [0.9, 0.999, 0.9999],
  eps = [1e-30, 1e-16],
  clipThreshold = 1,
  weightDecay = 0,
}: CameOptions = {}): Optimizer {
  const [beta1, beta2, beta3] = betas;
  return {
    name: 'came',
    init(params) {
      const tensors = [...params].flatMap(([name, { shape }]): (readonly [string, Float32Tensor])[] => {
        const view = matrixOf(shape);
        const mean = [`exp_avg.${name}`, zerosOf(shape)] as const;
        if (!view) return [mean, [`exp_avg_sq.${name}`, zerosOf(shape)]];
        return [
          mean,
          [`exp_avg_sq_row.${name}`, zerosOf([view.rows])],
          [`exp_avg_sq_col.${name}`, zerosOf([view.columns])],
          [`exp_avg_res_row.${name}`, zerosOf([view.rows])],
          [`exp_avg_res_col.${name}`, zerosOf([view.columns])],
        ];
      });
      return { tensors: new Map(tensors), scalars: { step: 0 } };
    },
    update(params, grads, { tensors, scalars }, lr, scale = 1) {
      scaleGradients(grads, scale);
      scalars['step'] = (scalars['step'] ?? 0) + 1;
      const largest = Math.max(0, ...[...params.values()].map(({ data }) => data.length));
      const scratch = new Float32Array(largest);
      const keep = 1 - weightDecay * lr;
      for (const [name, { shape, data: p }] of params) {
        const g = elementsOf(grads, name, p.length);
        const mean = elementsOf(tensors, `exp_avg.${name}`, p.length);
        const update = scratch.subarray(0, p.length);
        squaresPlus(g, eps[0], update);
        const view = matrixOf(shape);
        if (!view) {
          const square = elementsOf(tensors, `exp_avg_sq.${name}`, p.length);
          updateMean(square, update, beta2);
          divideByRoot(g, square, update);
          clipRootMeanSquare(update, clipThreshold);
          updateMean(mean, update, beta1);
          subtractScaled(p, keep, mean, lr);
          continue;
        }
        const row = elementsOf(tensors, `exp_avg_sq_row.${name}`, view.rows);
        const column = elementsOf(tensors, `exp_avg_sq_col.${name}`, view.columns);
        updateFactors(update, view, row, column, beta2);
        divideByFactoredRoot(g, view, row, column, update);
        clipRootMeanSquare(update, clipThreshold);
        updateMean(mean, update, beta1);

        const deviationRow = elementsOf(tensors, `exp_avg_res_row.${name}`, view.rows);
        const deviationColumn = elementsOf(tensors, `exp_avg_res_col.${name}`, view.columns);
        for (let i = 0; i < p.length; i++) update[i] = ((update[i] ?? 0) - (mean[i] ?? 0)) ** 2 + eps[1];
        updateFactors(update, view, deviationRow, deviationColumn, beta3);
        divideByFactoredRoot(mean, view, deviationRow, deviationColumn, update);
        subtractScaled(p, keep, update, lr);
      }
    },
  };
}

function matrixOf(shape: readonly number[]): MatrixView | undefined {
  const [rows = 1, columns = 1, height, width] = shape;
  const isMatrix = shape.length === 2 || (shape.length === 4 && height === 1 && width === 1);
  return isMatrix ? { batch: 1, rows, columns } : undefined;
}
