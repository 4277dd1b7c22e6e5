import type { StepResult, TrainingBatch, TrainingStep } from '../src/lora/training-step.ts';
import { clipGlobalNorm, createGradientAccumulator } from '../src/optim/gradients.ts';
import type { Optimizer, OptimizerState, Params } from '../src/optim/optimizer.ts';
import type { Random } from '../src/random.ts';

/** What the loop needs; everything it changes is `parameters` and `state`, in place. */
export interface TrainLoraOptions {
  readonly trainingStep: TrainingStep;
  /** The adapter's tensors. */
  readonly parameters: Params;
  readonly optimizer: Optimizer;
  /** The optimizer's state, new or from a checkpoint. */
  readonly state: OptimizerState;
  /** Learning rate of a step. */
  readonly schedule: (step: number) => number;
  /** The examples of a micro-batch; `index` counts from the first step of the run. */
  readonly batch: (index: number) => Promise<TrainingBatch> | TrainingBatch;
  readonly maxTrainSteps: number;
  /** @default 1 */
  readonly gradientAccumulationSteps?: number;
  /** Gradients are scaled down to this global norm. @default 0.1, Sana's own */
  readonly maxGradNorm?: number;
  /** @default 0 */
  readonly firstStep?: number;
  /** Draws dropout masks of a step. */
  readonly random?: Random;
}

/** What one optimizer step did. */
export interface LoraStep {
  readonly step: number;
  /** The mean loss of the step's micro-batches, before the update. */
  readonly loss: number;
  /** Norm of the gradient before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly microBatches: readonly StepResult[];
}

/** Trains an adapter: accumulate, clip, step; yields after each optimizer step. */
export async function* trainLora({
  trainingStep,
  parameters,
  optimizer,
  state,
  schedule,
  batch,
  maxTrainSteps,
  gradientAccumulationSteps = 1,
  maxGradNorm = 0.1,
  firstStep = 0,
  random,
}: TrainLoraOptions): AsyncGenerator<LoraStep> {
  const accumulator = createGradientAccumulator(parameters);
  for (let step = firstStep; step < maxTrainSteps; step++) {
    const learningRate = schedule(step);
    accumulator.reset();
    const microBatches: StepResult[] = [];
    let loss = 0;
    for (let i = 0; i < gradientAccumulationSteps; i++) {
      const index = step * gradientAccumulationSteps + i;
      const result = await trainingStep.run(await batch(index), parameters, random?.fork(`dropout ${index}`));
      accumulator.add(result.gradients, 1 / gradientAccumulationSteps);
      loss += result.loss / gradientAccumulationSteps;
      microBatches.push(result);
    }
    const gradNorm = clipGlobalNorm(accumulator.grads, maxGradNorm);
    optimizer.update(parameters, accumulator.grads, state, learningRate);
    yield { step, loss, gradNorm, learningRate, microBatches };
  }
}
