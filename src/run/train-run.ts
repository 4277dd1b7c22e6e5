import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { openCache } from '../../datasets/cache.ts';
import { keyOf } from '../../datasets/cache-keys.ts';
import { datasetUse } from '../../datasets/dataset-options.ts';
import { trainLora, type TrainHooks } from '../../trainers/lora.ts';
import { optimizerOptions, scheduleOptions, timestepOptions } from '../config/options.ts';
import { captionStage } from '../caption/caption-stage.ts';
import { formatConfig } from '../config/resolved-config.ts';
import type { Config } from '../config/schema.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { defaultFlowShift } from '../flow/default-flow-shift.ts';
import { createTimestepSampler } from '../flow/timestep-sampling.ts';
import { streamModel } from '../hub/resolve-model.ts';
import { writeText } from '../io/atomic-write.ts';
import { createAdapter } from '../lora/create-adapter.ts';
import { createTrainingStep } from '../lora/training-step.ts';
import { innerWidth } from '../models/sana-transformer-config.ts';
import { createOptimizer } from '../optim/create-optimizer.ts';
import { createSchedule } from '../optim/schedules.ts';
import { openPipeline, type SanaPipeline } from '../pipeline/open-pipeline.ts';
import { createRandom } from '../random.ts';
import { adapterModules, startingAdapter } from './adapter-modules.ts';
import { inPrecision } from './base-precision.ts';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { chooseEngine } from './choose-engine.ts';
import { createEngine, engineSpeed } from './create-engine.ts';
import { estimateRun } from './estimate.ts';
import { checkWritable, preflight } from './preflight.ts';
import { modelSize, runSize } from './run-size.ts';
import { exportRun } from './export-run.ts';
import { cacheLatents, cachePrompts, type CacheModels, createCacheRepair } from './fill-cache.ts';
import { instruction } from './instruction.ts';
import { pipelineKey, vaeOptions } from './pipeline-key.ts';
import { checkpointToResume, describeChange } from './resume-point.ts';
import { lockRun } from './run-lock.ts';
import { planRun, plannedPrompts, plannedSamples } from './run-plan.ts';
import { createRunMetrics } from './run-metrics.ts';
import { makeSamples, type RunSampler, sampledSteps, writeGrids } from './run-samples.ts';
import { loadPictures } from './load-pictures.ts';
import { prefetch } from './prefetch.ts';
import { initialState, type TrainState } from './train-state.ts';
import { type BatchMaker, trainingBatch } from './training-batches.ts';
import { sampleTyped } from './typed-samples.ts';
import { validate } from './validate.ts';

/** What a run needs beside its config. */
export interface TrainRunOptions {
  readonly config: Config;
  /** The run's name: the config file's. */
  readonly name: string;
  /** Of sana-train, for what files say of themselves. */
  readonly version: string;
  /** 'auto', 'never', or a checkpoint's folder. */
  readonly resume: string;
  /** Ends the stages before training at once; training finishes its step, saves and stops. */
  readonly signal?: AbortSignal;
  /** Asked between steps, as trainLora asks. */
  readonly control?: TrainHooks['control'];
  /** Opens the engine of a name. @default createEngine */
  readonly openEngine?: typeof createEngine;
}

/**
 * A whole run, from pictures to an adapter: check, cache, train, export. Everything is told as events; the caller shows
 * and records them.
 *
 * @throws UserError for everything that the user can mend
 */
export async function* trainRun(options: TrainRunOptions): AsyncGenerator<TrainEvent> {
  // What the cache has to say comes between events.
  const notices: string[] = [];
  let { config, resume } = options;
  for (;;) {
    try {
      for await (const event of runStages({ ...options, config, resume }, notices)) {
        for (const message of notices.splice(0)) yield { kind: 'warning', message };
        if (event.kind === 'checkpoint') resume = event.path;
        yield event;
      }
      return;
    } catch (error) {
      if (!mayGoOnOnCpu(error, config)) throw error;
      yield { kind: 'warning', message: `${error.message} As model.engine_failure says, the run goes on on the CPU.` };
      config = { ...config, model: { ...config.model, engine: 'cpu' } };
    }
  }
}

/** Whether a device that failed, and not the run, is the matter, and the user said what to do then. */
function mayGoOnOnCpu(error: unknown, { model }: Config): error is EngineError {
  if (!(error instanceof EngineError) || model.engine_failure !== 'cpu' || model.engine === 'cpu') return false;
  return error.trouble === 'memory' || error.trouble === 'lost';
}

async function* runStages(options: TrainRunOptions, notices: string[]): AsyncGenerator<TrainEvent> {
  const { config, name, version, signal } = options;
  const runDir = config.run_dir;
  await checkWritable([runDir, ...(config.dataset.cache_dir === null ? [] : [config.dataset.cache_dir])]);
  await mkdir(runDir, { recursive: true });
  const lock = await lockRun(runDir);
  let opened: Engine | undefined;
  try {
    const chosen = await chooseEngine(config.train.precision === 'int8' ? 'cpu' : config.model.engine);
    if (chosen.reason !== undefined) yield { kind: 'log', message: chosen.reason };
    const { openEngine = createEngine } = options;
    const engine = (opened = openEngine({ engine: chosen.name, threads: config.model.threads }));
    const gigaflops = await engineSpeed(engine, chosen.name);
    const resumeFrom = await checkpointToResume(config, options.resume);
    await writeText(join(runDir, 'config.yaml'), formatConfig(config));
    const resolved = yield* streamModel(config.model, signal ? { signal } : {});
    const pipeline = await openPipeline(resolved.folder, {
      ...(config.model.variant !== null && { variant: config.model.variant }),
      vaeOptions: vaeOptions(config.model),
    });
    if (pipeline.transformerConfig.guidance_embeds) {
      throw new UserError(
        `${config.model.path} is a distilled model with guidance embeddings (Sana-Sprint), which LoRA training would undo; train on the Sana it was made from.`,
      );
    }
    const { train } = config;
    const accumulation = train.gradient_accumulation_steps;
    const { max_sequence_length: length } = config.model;
    const maxSequenceLength = length === 'auto' ? 300 : length;
    const { chi, chiName } = instruction(config.model);
    const start = await startingAdapter(config, pipeline.transformerConfig);
    for (const message of start?.notices ?? []) yield { kind: 'log', message };
    const modules = start?.modules ?? adapterModules(config, pipeline.transformerConfig);
    const resolution = pipeline.defaultSize;

    // Pictures, class pictures first where the config wants the prior kept.
    const cache = await openCache(config.dataset.cache_dir ?? join(runDir, 'cache'), {
      onNotice: (notice) => notices.push(notice),
    });
    const modelKey = await pipelineKey(pipeline);
    const { datasets, instances } = yield* loadPictures(config, {
      engine,
      pipeline,
      cacheFolder: cache.folder,
      transformerKey: modelKey.transformer,
      chi,
      maxSequenceLength,
      size: resolution,
      ...(signal && { signal }),
    });
    const { examples } = yield* captionStage(config, name, datasets, {
      window: async () => ({ tokenizer: (await pipeline.loadPromptEncoder()).tokenizer, chi, maxSequenceLength }),
      ...(signal && { signal }),
    });
    const plan = planRun(config, pipeline, examples);
    const { samples, maxTrainSteps } = plan;
    const models: CacheModels = { vaeKey: modelKey.vae, textKey: modelKey.text, chi, maxSequenceLength };
    const state0 = resumeFrom?.step ?? 0;
    yield { kind: 'run', name, runDir, model: config.model.path, firstStep: state0, maxTrainSteps, config };

    // A look at what it will take, before hours are spent.
    const { size } = await runSize({
      config,
      plan,
      step: state0,
      model: await modelSize(pipeline, true, config.model.variant),
      modules,
      tokenizer: (await pipeline.loadPromptEncoder()).tokenizer,
      chi,
      maxSequenceLength,
      cached: { cache, models },
    });
    yield* preflight(estimateRun(size, gigaflops), size.steps, { cache: cache.folder, run: runDir });

    // Latents and texts of all that is left, then the encoders are let go.
    const stage = { engine, cache, models, ...(signal && { signal }) };
    yield* cachePrompts(plannedPrompts(plan, state0, models), { ...stage, loadEncoder: pipeline.loadPromptEncoder });
    yield* cacheLatents(plannedSamples(plan, state0), {
      ...stage,
      loadVae: pipeline.loadVae,
      vaeOptions: pipeline.vaeOptions,
    });
    const repair = createCacheRepair(stage, pipeline);

    // The adapter, new or as a checkpoint left it.
    const exact = await pipeline.loadTransformer();
    const model = yield* inPrecision(exact, {
      precision: train.precision,
      engine,
      cache,
      modelKey: modelKey.transformer,
      ...(signal && { signal }),
    });
    const optimizer = createOptimizer(optimizerOptions(train));
    const settings = {
      base: modelKey.transformer,
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
      for (const change of resumeFrom.changes)
        yield { kind: 'log', message: `from here on: ${describeChange(change)}` };
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
    const sourceNames = new Map(instances.map((options, i) => [datasetUse(options).name, i]));
    const maker: BatchMaker = {
      cache,
      models,
      repair,
      scalingFactor: pipeline.vaeConfig.scalingFactor,
      unmaskedWeight: (dataset) => config.dataset.sources[sourceNames.get(dataset) ?? -1]?.unmasked_weight ?? 0,
    };
    const random = createRandom(train.seed);
    const resolutions = plan.training.flatMap(({ buckets }) => buckets.map((bucket) => bucket.resolution));
    const noise = {
      sampling: train.weighting_scheme,
      sampler: createTimestepSampler(timestepOptions(train, flowShiftOf(pipeline, resolutions))),
    };
    const batches = prefetch(plan.batches(state0), state0 * accumulation, (batch, index) =>
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
      examples: examples.filter(({ dataset }) => dataset.kind === 'instance'),
      sourceOf: (dataset) => sourceNames.get(dataset),
      ...(signal && { signal }),
    });
    const measuredSamples = async function* (step: number): AsyncGenerator<TrainEvent> {
      yield* makeSamples(sampler, step, modules, shown(), signal);
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
        ...(options.control && { control: options.control }),
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

    if (outcome === 'stopped') {
      yield {
        kind: 'end',
        reason: 'stopped',
        step: state.step,
        message: `saved; the same command goes on from step ${state.step}`,
      };
      return;
    }
    yield* exportRun({
      config,
      runDir,
      step: state.step,
      modules,
      parameters: shown(),
      sampler,
      ...(metrics && { metrics }),
      ...(signal && { signal }),
    });
    const steps = await sampledSteps(runDir, samples.length);
    if (steps.length > 0) await writeGrids(runDir, samples, steps);
    yield { kind: 'end', reason: 'done', step: state.step, message: join(runDir, 'adapter') };
  } finally {
    await opened?.close();
    await lock.release();
  }
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
