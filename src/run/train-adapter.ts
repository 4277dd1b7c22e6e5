import { basename } from 'node:path';

import { keyOf } from '../../datasets/cache-keys.ts';
import { trainLora, type TrainHooks } from '../../trainers/lora.ts';
import { optimizerOptions, scheduleOptions, timestepOptions } from '../config/options.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { TrainEvent } from '../events.ts';
import { defaultFlowShift } from '../flow/default-flow-shift.ts';
import { createTimestepSampler } from '../flow/timestep-sampling.ts';
import { createAdapter } from '../lora/create-adapter.ts';
import { createTrainingStep } from '../lora/training-step.ts';
import { innerWidth } from '../models/sana-transformer-config.ts';
import { createOptimizer } from '../optim/create-optimizer.ts';
import { createSchedule } from '../optim/schedules.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';
import { createRandom } from '../random.ts';
import { inPrecision } from './base-precision.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { CacheRepair } from './fill-cache.ts';
import { prefetch } from './prefetch.ts';
import type { PreparedRun } from './prepare-run.ts';
import { describeChange, type ResumePoint } from './resume-point.ts';
import { createRunMetrics, type RunMetrics } from './run-metrics.ts';
import { makeSamples, missingPlaces, type RunSampler, samplePlaces } from './run-samples.ts';
import { initialState, type TrainState } from './train-state.ts';
import { type BatchMaker, trainingBatch } from './training-batches.ts';
import { sampleTyped } from './typed-samples.ts';
import { validate } from './validate.ts';

/** What training needs beside a prepared run. */
export interface TrainAdapterOptions {
  /** Of sana-train, for what pictures say of themselves. */
  readonly version: string;
  readonly resumeFrom: ResumePoint | undefined;
  readonly repair: CacheRepair;
  readonly signal?: AbortSignal;
  /** Asked between steps, as trainLora asks. */
  readonly control?: TrainHooks['control'];
}

/** How training ended, and what it leaves to export. */
export interface TrainedAdapter {
  readonly outcome: 'done' | 'stopped';
  readonly step: number;
  /** The adapter to show and export: averaged, where an average is kept. */
  readonly parameters: TrainState['parameters'];
  readonly sampler: RunSampler;
  readonly metrics: RunMetrics | undefined;
}

/**
 * Trains a prepared run's adapter, new or as a checkpoint left it, with samples, validation and checkpoints on the way.
 *
 * @throws UserError when the checkpoint does not fit, or the loss is not finite
 */
export async function* trainAdapter(
  run: PreparedRun,
  { version, resumeFrom, repair, signal, control }: TrainAdapterOptions,
): AsyncGenerator<TrainEvent, TrainedAdapter> {
  const { config, engine, pipeline, transformerKey, cache, models, chiName, modules, start, sourceOf, plan } = run;
  const { firstStep, examples } = run;
  const { samples, maxTrainSteps } = plan;
  const { train, run_dir: runDir } = config;
  const accumulation = train.gradient_accumulation_steps;

  // The adapter, new or as a checkpoint left it.
  const exact = await pipeline.loadTransformer();
  const model = yield* inPrecision(exact, {
    precision: train.precision,
    engine,
    cache,
    modelKey: transformerKey,
    ...(signal && { signal }),
  });
  const optimizer = createOptimizer(optimizerOptions(train));
  const settings = {
    base: transformerKey,
    adapter: keyOf({
      modules: [...modules].map(([key, { rank, scale, dora, lycoris }]) => [
        key,
        rank,
        scale,
        dora,
        ...(lycoris ? [JSON.stringify(lycoris)] : []),
      ]),
    }),
    optimizer: optimizer.name,
  };
  let state: TrainState;
  if (resumeFrom) {
    state = await loadCheckpoint(resumeFrom.path, { modules, optimizer, settings });
    yield { kind: 'log', message: `goes on from ${resumeFrom.path}` };
    for (const change of resumeFrom.changes) yield { kind: 'log', message: `from here on: ${describeChange(change)}` };
  } else {
    const { init } = config.lora;
    const parameters =
      start?.parameters ??
      (await createAdapter(modules, exact.weights, createRandom(train.seed).fork('adapter'), init));
    state = initialState(parameters, optimizer, { average: train.use_ema });
  }
  const shown = (): TrainState['parameters'] => state.average ?? state.parameters;

  const trainingStep = await createTrainingStep(engine, model, modules, {
    gradientCheckpointing: train.gradient_checkpointing,
  });
  const maker: BatchMaker = {
    cache,
    models,
    repair,
    scalingFactor: pipeline.vaeConfig.scalingFactor,
    unmaskedWeight: (dataset) => config.dataset.sources[sourceOf(dataset) ?? -1]?.unmasked_weight ?? 0,
  };
  const random = createRandom(train.seed);
  const resolutions = plan.training.flatMap(({ buckets }) => buckets.map((bucket) => bucket.resolution));
  const noise = {
    sampling: train.weighting_scheme,
    sampler: createTimestepSampler(timestepOptions(train, flowShiftOf(pipeline, resolutions))),
  };
  const batches = prefetch(plan.batches(firstStep), firstStep * accumulation, (batch, index) =>
    trainingBatch(batch, index, maker, noise, random.fork('noise')),
  );
  const sampler: RunSampler = {
    runDir,
    name: basename(config.model.path),
    version,
    engine,
    pipeline: { ...pipeline, loadTransformer: () => Promise.resolve(model) },
    cache,
    models,
    repair,
    chiName,
    config: config.sample,
    samples,
  };

  const metrics = createRunMetrics({
    config,
    runDir,
    samples,
    examples,
    sourceOf,
    ...(signal && { signal }),
  });
  const measuredSamples = async function* (step: number): AsyncGenerator<TrainEvent> {
    const all = samplePlaces(samples, step);
    const places = resumeFrom && step === firstStep ? await missingPlaces(runDir, all) : all;
    if (places.length === 0) return;
    yield* makeSamples(sampler, step, modules, shown(), signal, places);
    if (metrics) yield* metrics.measure(step);
  };

  let saved = state.step;
  const save = async function* (step: number): AsyncGenerator<TrainEvent> {
    const path = await saveCheckpoint(
      runDir,
      { modules, rslora: config.lora.rslora, state, settings },
      train.checkpoints_total_limit,
    );
    saved = step;
    yield { kind: 'checkpoint', step, path };
  };
  const training = trainLora({
    trainingStep,
    state,
    optimizer,
    schedule: createSchedule(scheduleOptions(train, maxTrainSteps)),
    batch: batches,
    maxTrainSteps,
    gradientAccumulationSteps: accumulation,
    maxGradNorm: train.max_grad_norm,
    emaDecay: train.ema_decay,
    maxNanLosses: train.max_nan_losses,
    random: random.fork('dropout'),
    hooks: {
      ...(samples.length > 0 && {
        sample: {
          every: config.sample.every,
          atStart: config.sample.at_start,
          run: (step) => untilStopped(measuredSamples(step), signal),
        },
      }),
      prompts: (step, texts) => untilStopped(sampleTyped(sampler, texts, step, modules, shown(), signal), signal),
      ...(plan.validation.length > 0 && {
        validate: {
          every: train.validation_steps,
          run: (step) =>
            validate(
              {
                engine,
                model,
                modules,
                samples: plan.validation,
                maker,
                bins: train.validation_sigma_bins,
                random: random.fork('validation'),
              },
              step,
              shown(),
            ),
        },
      }),
      checkpoint: {
        every: train.checkpointing_steps,
        run: save,
      },
      ...(control && { control }),
      ...(signal && { isStopping: () => signal.aborted }),
    },
  });
  let outcome: 'done' | 'stopped';
  try {
    outcome = yield* training;
  } catch (error) {
    // The weights are not the device's: they are whole, as the last step left them.
    if (error instanceof EngineError && state.step > saved) yield* save(state.step);
    throw error;
  }
  await trainingStep.dispose();
  return { outcome, step: state.step, parameters: shown(), sampler, metrics };
}

/** Pictures that are cut short by Ctrl-C end quietly: training is then stopped in order, and saves what it learned. */
async function* untilStopped(events: AsyncIterable<TrainEvent>, signal?: AbortSignal): AsyncGenerator<TrainEvent> {
  try {
    yield* events;
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}

function flowShiftOf({ transformerConfig }: SanaPipeline, resolutions: readonly number[]): number {
  return defaultFlowShift({
    width: innerWidth(transformerConfig),
    qkNorm: transformerConfig.qk_norm !== null,
    resolution: Math.max(...resolutions),
  });
}
