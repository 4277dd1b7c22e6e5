import type { ExampleLoss, TrainEvent } from '../src/events.ts';
import { UserError } from '../src/errors.ts';
import type { StepResult, TrainingBatch, TrainingStep } from '../src/lora/training-step.ts';
import { clipping, createGradientAccumulator } from '../src/optim/gradients.ts';
import type { Optimizer } from '../src/optim/optimizer.ts';
import { updateAverage } from '../src/optim/ema.ts';
import type { Random } from '../src/random.ts';
import type { TrainState } from '../src/run/train-state.ts';

/** A training batch whose examples are known by name. */
export interface NamedBatch extends TrainingBatch {
  /** Ids of the examples [B]. */
  readonly ids: readonly string[];
}

/** What the loop does now and then, each telling what it did. */
export interface TrainHooks {
  /** Pictures of the adapter as it is; at the step that a run goes on from, those that it was stopped before. */
  readonly sample?: { readonly every: number; readonly atStart: boolean; run(step: number): AsyncIterable<TrainEvent> };
  /** Pictures of texts that a person typed while it trains. */
  readonly prompts?: (step: number, prompts: readonly string[]) => AsyncIterable<TrainEvent>;
  /** The loss on held-out pictures. */
  readonly validate?: { readonly every: number; run(step: number): AsyncIterable<TrainEvent> };
  /** Saves all that resuming needs. */
  readonly checkpoint?: { readonly every: number; run(step: number): AsyncIterable<TrainEvent> };
  /** Asked between steps: whether to stop, and what a person wants done now. Waits while the run is paused. */
  readonly control?: () => Promise<{
    readonly stop: boolean;
    readonly sample?: boolean;
    readonly checkpoint?: boolean;
    readonly prompts?: readonly string[];
  }>;
  /** Whether a stop was asked for since then: samples are cut short by it, and what was learned is saved at once. */
  readonly isStopping?: () => boolean;
}

/** What the loop needs. */
export interface TrainLoraOptions {
  readonly trainingStep: TrainingStep;
  readonly state: TrainState;
  readonly optimizer: Optimizer;
  /** Learning rate of a step, which counts from 0. */
  readonly schedule: (step: number) => number;
  /** The examples of a micro-batch; `index` counts from the first step of the run, so that a resumed run goes on in order. */
  readonly batch: (index: number) => Promise<NamedBatch> | NamedBatch;
  readonly maxTrainSteps: number;
  /** @default 1 */
  readonly gradientAccumulationSteps?: number;
  /** Gradients are scaled down to this global norm; null leaves them. @default 0.1, Sana's own */
  readonly maxGradNorm?: number | null;
  /** @default 0.9999 */
  readonly emaDecay?: number;
  /** How many steps in a row may have a loss that is not finite; their updates are left out. @default 0 */
  readonly maxNanLosses?: number;
  /** Draws dropout masks: each micro-batch from a generator of its own. */
  readonly random?: Random;
  readonly hooks?: TrainHooks;
}

/**
 * Trains an adapter: sample and save when due, accumulate, clip, step; yields what happens.
 * Returns whether it came to the end or was stopped; saved in both cases.
 *
 * @throws UserError when the loss is not finite too often: pictures, noise levels and step are named, and the weights are
 *   saved as they were before
 */
export async function* trainLora({
  trainingStep,
  state,
  optimizer,
  schedule,
  batch,
  maxTrainSteps,
  gradientAccumulationSteps = 1,
  maxGradNorm = 0.1,
  emaDecay = 0.9999,
  maxNanLosses = 0,
  random,
  hooks: { sample, prompts, validate, checkpoint, control, isStopping } = {},
}: TrainLoraOptions): AsyncGenerator<TrainEvent, 'done' | 'stopped'> {
  const { parameters } = state;
  const accumulator = createGradientAccumulator(parameters);
  const firstStep = state.step;
  let saved = firstStep;
  let spent: StepResult | undefined;

  for (;;) {
    const { step } = state;
    const wanted = (await control?.()) ?? { stop: false };
    const last = step >= maxTrainSteps;
    const due = (every: number): boolean => every > 0 && (step % every === 0 || last);

    // Sample, validate and save: before the step, so that step 0 is the untrained model.
    if (sample && (wanted.sample === true || (due(sample.every) && (step > 0 || sample.atStart))))
      yield* sample.run(step);
    if (prompts && wanted.prompts && wanted.prompts.length > 0) yield* prompts(step, wanted.prompts);
    if (validate && due(validate.every) && (step === 0 || step !== firstStep)) yield* validate.run(step);
    const stop = wanted.stop || isStopping?.() === true;
    if (checkpoint && saved !== step && (wanted.checkpoint === true || due(checkpoint.every) || last || stop)) {
      yield* checkpoint.run(step);
      saved = step;
    }
    if (stop) return 'stopped';
    if (last) return 'done';

    // Forward and backward of every micro-batch.
    const learningRate = schedule(step);
    const seconds = { data: 0, compute: 0, update: 0 };
    const examples: ExampleLoss[] = [];
    let loss = 0;
    accumulator.reset();
    for (let i = 0; i < gradientAccumulationSteps; i++) {
      const index = step * gradientAccumulationSteps + i;
      const start = performance.now();
      const micro = await batch(index);
      const loaded = performance.now();
      if (spent) trainingStep.recycle?.(spent); // it is accumulated by now
      const result = await trainingStep.run(micro, parameters, random?.fork(`dropout ${index}`));
      const computed = performance.now();
      spent = result;
      accumulator.add(result.gradients, 1 / gradientAccumulationSteps);
      loss += result.loss / gradientAccumulationSteps;
      examples.push(...exampleLosses(micro, result));
      seconds.data += (loaded - start) / 1000;
      seconds.compute += (computed - loaded) / 1000;
      seconds.update += (performance.now() - computed) / 1000;
    }

    // Clip and update.
    const start = performance.now();
    const { norm: gradNorm, scale } = clipping(accumulator.grads, maxGradNorm ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(loss) && Number.isFinite(gradNorm)) {
      state.nanLosses = 0;
      optimizer.update(parameters, accumulator.grads, state.optimizer, learningRate, scale);
      if (state.average) updateAverage(state.average, parameters, emaDecay, step);
    } else {
      const message = describeNan(step, loss, examples);
      state.nanLosses++;
      if (state.nanLosses > maxNanLosses) {
        if (checkpoint && saved !== step) yield* checkpoint.run(step);
        throw new UserError(message);
      }
      yield { kind: 'warning', message };
    }
    seconds.update += (performance.now() - start) / 1000;
    state.step = step + 1;

    const memoryMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
    yield { kind: 'step', step: state.step, maxTrainSteps, loss, gradNorm, learningRate, seconds, examples, memoryMiB };
  }
}

function exampleLosses({ ids, sigmas }: NamedBatch, { losses }: StepResult): ExampleLoss[] {
  return ids.map((id, i) => ({ id, sigma: sigmas[i] ?? Number.NaN, loss: losses[i] ?? Number.NaN }));
}

function describeNan(step: number, loss: number, examples: readonly ExampleLoss[]): string {
  const bad = examples.filter((example) => !Number.isFinite(example.loss));
  const named = (bad.length > 0 ? bad : examples).map(({ id, sigma }) => `${id} at sigma ${sigma.toFixed(3)}`);
  const what = Number.isFinite(loss) ? 'The gradient' : 'The loss';
  return `${what} of step ${step + 1} is not finite (${named.join(', ')}). The weights before it are kept; try a lower train.learning_rate, or look at these pictures.`;
}
