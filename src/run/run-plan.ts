import type { Example } from '../../datasets/example.ts';
import { holdOut } from '../../datasets/hold-out.ts';
import { type Batch, countBatches, locateBatch, planFrom, type PlanOptions } from '../../datasets/plan-epoch.ts';
import { plainSample, type Sample } from '../../datasets/sample.ts';
import { addedClassPrompts } from '../config/prompt-roles.ts';
import type { Config } from '../config/schema.ts';
import type { Prompt } from '../models/encode-prompts.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';
import { type CacheModels, promptOf } from './fill-cache.ts';
import { type RunSample, runSamples } from './run-samples.ts';

/** All that a run will do, a pure function of its config and its pictures. */
export interface RunPlan {
  /** The pictures that are trained. */
  readonly training: readonly Example[];
  /** Those that are held out, as validation sees them. */
  readonly validation: readonly Sample[];
  /** The pictures that it makes now and then. */
  readonly samples: readonly RunSample[];
  /** Batches of an epoch. */
  readonly perEpoch: number;
  readonly maxTrainSteps: number;
  /** The batches from the end of a step on, one for each forward and backward pass. */
  readonly batches: (step: number) => Generator<Batch>;
}

/** Plans a run on pictures that were found good. */
export function planRun(
  config: Pick<Config, 'dataset' | 'model' | 'train' | 'sample'>,
  pipeline: Pick<SanaPipeline, 'defaultSize' | 'sizeMultiple' | 'transformerConfig'>,
  examples: readonly Example[],
): RunPlan {
  const { dataset, train, sample } = config;
  const held = holdOut(examples, { count: dataset.validation_count, seed: train.seed });
  const options: PlanOptions = {
    examples: held.training,
    batchSize: train.train_batch_size,
    seed: train.seed,
    priorLossWeight: train.prior_loss_weight,
  };
  const accumulation = train.gradient_accumulation_steps;
  const perEpoch = countBatches({ ...options, epoch: 0 });
  const maxTrainSteps = train.max_train_steps ?? Math.ceil((perEpoch * (train.num_train_epochs ?? 1)) / accumulation);
  const captions = held.training.flatMap(({ dataset: { kind }, captions: [first] }) =>
    kind === 'instance' && first ? [first.text] : [],
  );
  return {
    training: held.training,
    validation: held.validation.flatMap((example) =>
      example.buckets.slice(0, 1).map((bucket) => plainSample(example, bucket)),
    ),
    samples: runSamples(
      sample,
      pipeline,
      pipeline.defaultSize,
      [...new Set(captions)].slice(0, 2),
      addedClassPrompts(config),
    ),
    perEpoch,
    maxTrainSteps,
    batches: (step) =>
      take(
        planFrom({ ...options, position: locateBatch({ ...options, done: step * accumulation }) }),
        (maxTrainSteps - step) * accumulation,
      ),
  };
}

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ >= count) return;
    yield value;
  }
}

/** Everything that the rest of a run encodes from a step on: pictures, each as often as it is cut, then held-out ones. */
export function* plannedSamples(plan: RunPlan, step: number): Generator<Sample> {
  for (const { samples } of plan.batches(step)) yield* samples;
  yield* plan.validation;
}

/** The different texts of the rest of a run, those of its own samples among them. */
export function plannedPrompts(
  plan: RunPlan,
  step: number,
  models: Pick<CacheModels, 'chi'>,
): readonly Exclude<Prompt, string>[] {
  const prompts = new Map<string, Exclude<Prompt, string>>();
  const add = (text: string, dropped: boolean): void => {
    const prompt = promptOf(text, dropped, models);
    prompts.set(`${prompt.chi === null} ${text}`, prompt);
  };
  for (const { text, dropped } of plannedSamples(plan, step)) add(text, dropped);
  for (const { prompt, negativePrompt } of plan.samples) {
    add(prompt, false);
    add(negativePrompt, true);
  }
  return [...prompts.values()];
}
