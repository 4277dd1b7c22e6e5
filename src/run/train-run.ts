import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { openCache } from '../../datasets/cache.ts';
import { keyOf, modelFilesKey } from '../../datasets/cache-keys.ts';
import { type DatasetOptions, datasetUse } from '../../datasets/dataset-options.ts';
import { holdOut } from '../../datasets/hold-out.ts';
import { loadDatasets } from '../../datasets/load-datasets.ts';
import { type Batch, countBatches, planFrom, type PlanOptions } from '../../datasets/plan-epoch.ts';
import { plainSample } from '../../datasets/sample.ts';
import { formatReport } from '../../datasets/report.ts';
import { trainLora, type TrainHooks } from '../../trainers/lora.ts';
import { loadConfig } from '../config/load-config.ts';
import {
  adapterOptions,
  classDatasetOptions,
  datasetOptions,
  optimizerOptions,
  scheduleOptions,
  timestepOptions,
} from '../config/options.ts';
import { changesOnResume, formatConfig } from '../config/resolved-config.ts';
import type { Config, ModelConfig, SourceConfig } from '../config/schema.ts';
import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { defaultFlowShift } from '../flow/default-flow-shift.ts';
import { createTimestepSampler } from '../flow/timestep-sampling.ts';
import { streamModel } from '../hub/resolve-model.ts';
import { writeText } from '../io/atomic-write.ts';
import { adaptedModules, type AdapterConfig } from '../lora/adapter-config.ts';
import { createAdapter } from '../lora/create-adapter.ts';
import { createTrainingStep } from '../lora/training-step.ts';
import { innerWidth, sanaModules } from '../models/sana-transformer-config.ts';
import { createOptimizer } from '../optim/create-optimizer.ts';
import { createSchedule } from '../optim/schedules.ts';
import { openPipeline, type SanaPipeline } from '../pipeline/open-pipeline.ts';
import { createRandom } from '../random.ts';
import { chiLines } from '../text/chi.ts';
import { listCheckpoints, loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { makeClassPictures } from './class-pictures.ts';
import { exportRun } from './export-run.ts';
import { cacheLatents, cachePrompts, type CacheModels, promptOf } from './fill-cache.ts';
import { lockRun } from './run-lock.ts';
import { makeSamples, type RunSampler, runSamples, writeGrids } from './run-samples.ts';
import { initialState, type TrainState } from './train-state.ts';
import { type BatchMaker, trainingBatch } from './training-batches.ts';
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
}

/**
 * A whole run, from pictures to an adapter: check, cache, train, export. Everything is told as events; the caller shows
 * and records them.
 *
 * @throws UserError for everything that the user can mend
 */
export async function* trainRun(options: TrainRunOptions): AsyncGenerator<TrainEvent> {
  const { config, name, version, signal } = options;
  const runDir = config.run_dir;
  await mkdir(runDir, { recursive: true });
  const lock = await lockRun(runDir);
  const { threads, provider } = config.model;
  const engine = createOnnxruntimeEngine({ provider, ...(threads !== 'auto' && { threads }) });
  try {
    const resumeFrom = await checkpointToResume(config, options.resume);
    await writeText(join(runDir, 'config.yaml'), formatConfig(config));
    const resolved = yield* streamModel(config.model, signal ? { signal } : {});
    const pipeline = await openPipeline(
      resolved.folder,
      config.model.variant === null ? {} : { variant: config.model.variant },
    );
    if (pipeline.transformerConfig.guidance_embeds) {
      throw new UserError(
        `${config.model.path} is a distilled model with guidance embeddings (Sana-Sprint), which LoRA training would undo; train on the Sana it was made from.`,
      );
    }
    const { train } = config;
    const { max_sequence_length: length } = config.model;
    const maxSequenceLength = length === 'auto' ? 300 : length;
    const { chi, chiName } = instruction(config.model);
    const resolution = pipeline.defaultSize;

    // Pictures, class pictures first where the config wants the prior kept.
    const cache = await openCache(config.dataset.cache_dir ?? join(runDir, 'cache'));
    const modelKey = await pipelineKey(pipeline);
    const classFolder = (source: SourceConfig): string =>
      source.class_data_dir ??
      join(
        cache.folder,
        'class-pictures',
        keyOf({ prompt: source.class_prompt, model: modelKey.transformer }).slice(0, 16),
      );
    if (train.with_prior_preservation) {
      for (const source of config.dataset.sources) {
        yield* makeClassPictures(source, {
          engine,
          pipeline,
          folder: classFolder(source),
          chi,
          maxSequenceLength,
          size: resolution,
          ...(signal && { signal }),
        });
      }
    }
    const instances = datasetOptions(config.dataset, resolution);
    // Sources of one class share its pictures.
    const priors = new Map<string, DatasetOptions>();
    for (const source of train.with_prior_preservation ? config.dataset.sources : []) {
      const options = classDatasetOptions(source, classFolder(source), resolution);
      if (options) priors.set(options.folder, options);
    }
    const { examples, report } = await loadDatasets([...instances, ...priors.values()], signal ? { signal } : {});
    for (const line of formatReport(report)) yield { kind: 'log', message: line };
    const held = holdOut(examples, { count: config.dataset.validation_count, seed: train.seed });

    // The plan of the whole run is a pure function of these.
    const planOptions: PlanOptions = {
      examples: held.training,
      batchSize: train.train_batch_size,
      seed: train.seed,
      priorLossWeight: train.prior_loss_weight,
    };
    const accumulation = train.gradient_accumulation_steps;
    const perEpoch = countBatches({ ...planOptions, epoch: 0 });
    const maxTrainSteps = train.max_train_steps ?? Math.ceil((perEpoch * (train.num_train_epochs ?? 1)) / accumulation);
    const models: CacheModels = { vaeKey: modelKey.vae, textKey: modelKey.text, chi, maxSequenceLength };
    const defaults = [
      ...new Set(
        held.training.flatMap(({ dataset, captions }) =>
          dataset.kind === 'instance' ? (captions[0]?.text ?? []) : [],
        ),
      ),
    ];
    const samples = runSamples(config.sample, pipeline, resolution, defaults.slice(0, 2));
    const validationSamples = held.validation.flatMap((example) =>
      example.buckets.slice(0, 1).map((bucket) => plainSample(example, bucket)),
    );

    const state0 = resumeFrom?.step ?? 0;
    yield { kind: 'run', name, runDir, model: config.model.path, firstStep: state0, maxTrainSteps, config };

    // Latents and texts of all that is left, then the encoders are let go.
    const planned = (): Iterable<Batch> =>
      take(
        planFrom({ ...planOptions, position: { epoch: 0, index: 0 } }),
        state0 * accumulation,
        maxTrainSteps * accumulation,
      );
    const prompts = new Map<string, ReturnType<typeof promptOf>>();
    const addPrompt = (text: string, dropped: boolean): void => {
      prompts.set(`${dropped} ${text}`, promptOf(text, dropped, models));
    };
    for (const batch of planned()) for (const { text, dropped } of batch.samples) addPrompt(text, dropped);
    for (const { text } of validationSamples) addPrompt(text, false);
    for (const { prompt, negativePrompt } of samples) {
      addPrompt(prompt, false);
      addPrompt(negativePrompt, true);
    }
    const stage = { engine, cache, models, ...(signal && { signal }) };
    yield* cachePrompts([...prompts.values()], { ...stage, loadEncoder: pipeline.loadPromptEncoder });
    yield* cacheLatents(samplesOf(planned(), validationSamples), { ...stage, loadVae: pipeline.loadVae });

    // The adapter, new or as a checkpoint left it.
    const model = await pipeline.loadTransformer();
    const modules = adaptedModules(sanaModules(model.config), adapterConfig(config));
    const optimizer = createOptimizer(optimizerOptions(train));
    const settings = {
      base: modelKey.transformer,
      adapter: keyOf({ modules: [...modules].map(([key, { rank, scale, dora }]) => [key, rank, scale, dora]) }),
      optimizer: optimizer.name,
    };
    let state: TrainState;
    if (resumeFrom) {
      state = await loadCheckpoint(resumeFrom.path, { modules, optimizer, settings });
      yield { kind: 'log', message: `goes on from ${resumeFrom.path}` };
    } else {
      const { init } = config.lora;
      const parameters = await createAdapter(
        modules,
        model.weights,
        createRandom(train.seed).fork('adapter'),
        init === 'kaiming' ? 'kaiming' : 'gaussian',
      );
      state = initialState(parameters, optimizer, { average: train.use_ema });
    }
    const shown = (): TrainState['parameters'] => state.average ?? state.parameters;

    const trainingStep = await createTrainingStep(engine, model, modules, {
      gradientCheckpointing: train.gradient_checkpointing,
    });
    const unmasked = new Map(
      instances.map((options, i) => [datasetUse(options).name, config.dataset.sources[i]?.unmasked_weight ?? 0]),
    );
    const maker: BatchMaker = {
      cache,
      models,
      scalingFactor: pipeline.vaeConfig.scalingFactor,
      unmaskedWeight: (dataset) => unmasked.get(dataset) ?? 0,
    };
    const random = createRandom(train.seed);
    const resolutions = held.training.flatMap(({ buckets }) => buckets.map((bucket) => bucket.resolution));
    const noise = {
      sampling: train.weighting_scheme,
      sampler: createTimestepSampler(timestepOptions(train, flowShiftOf(pipeline, resolutions))),
    };
    const batches = prefetch(planned(), state0 * accumulation, (batch, index) =>
      trainingBatch(batch, index, maker, noise, random.fork('noise')),
    );
    const sampler: RunSampler = {
      runDir,
      name: basename(config.model.path),
      version,
      engine,
      pipeline,
      cache,
      models,
      chiName,
      config: config.sample,
      samples,
    };

    const outcome = yield* trainLora({
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
            run: (step) => makeSamples(sampler, step, modules, shown(), signal),
          },
        }),
        ...(validationSamples.length > 0 && {
          validate: {
            every: train.validation_steps,
            run: (step) =>
              validate(
                {
                  engine,
                  model,
                  modules,
                  samples: validationSamples,
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
          async *run(step) {
            const path = await saveCheckpoint(
              runDir,
              { modules, rslora: config.lora.rslora, state, settings },
              train.checkpoints_total_limit,
            );
            yield { kind: 'checkpoint', step, path };
          },
        },
        ...(options.control && { control: options.control }),
      },
    });
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
      ...(signal && { signal }),
    });
    const steps = await sampledSteps(runDir, samples.length);
    if (steps.length > 0) await writeGrids(runDir, samples, steps);
    yield { kind: 'end', reason: 'done', step: state.step, message: join(runDir, 'adapter') };
  } finally {
    await engine.close();
    await lock.release();
  }
}

/** Where to go on from: what --resume or the config says, after a look at how the config has changed since. */
async function checkpointToResume(
  config: Config,
  resume: string,
): Promise<{ readonly step: number; readonly path: string } | undefined> {
  const runDir = config.run_dir;
  const checkpoints = await listCheckpoints(runDir);
  const newest = checkpoints.at(-1);
  if (resume === 'never') {
    if (newest)
      throw new UserError(
        `${runDir} holds a run already (to step ${newest.step}); choose another run_dir, delete it, or use --resume auto to go on.`,
      );
    return undefined;
  }
  let from = newest;
  if (resume !== 'auto') {
    const step = Number(/step-(\d+)[/\\]?$/.exec(resume)?.[1]);
    if (!Number.isInteger(step))
      throw new UserError(
        `--resume is ${resume}; use auto, never, or a checkpoint's folder such as ${join(runDir, 'checkpoints', 'step-100')}.`,
      );
    from = { step, path: resume };
  }
  const resolved = join(runDir, 'config.yaml');
  if (!from || !(await readdir(runDir)).includes('config.yaml')) return from;
  const { refused } = changesOnResume((await loadConfig(resolved, { checkFiles: false })).config, config);
  if (refused.length > 0) {
    const listed = refused.map(
      ({ option, from: before, to }) => `${option} was ${JSON.stringify(before)} and is ${JSON.stringify(to)}`,
    );
    throw new UserError(
      `${runDir} holds a run with another config: ${listed.join('; ')}. Put it back, choose another run_dir, or delete the folder.`,
    );
  }
  return from;
}

/** The instruction before captions, by the config's name for it; the one that sampling has where it names none. */
function instruction({ complex_human_instruction: setting }: ModelConfig): {
  readonly chi: readonly string[] | null;
  readonly chiName: string | null;
} {
  if (typeof setting === 'object') return { chi: setting, chiName: 'own' };
  const name = setting === 'auto' ? 'diffusers' : setting;
  return name === 'none' ? { chi: null, chiName: null } : { chi: chiLines[name], chiName: name };
}

function adapterConfig({ lora }: Config): AdapterConfig {
  const { type } = lora;
  if (type !== 'lora' && type !== 'dora') {
    throw new UserError(`lora.type is ${type}, which cannot be trained yet; use lora or dora.`);
  }
  return adapterOptions({ ...lora, type });
}

function flowShiftOf({ transformerConfig }: SanaPipeline, resolutions: readonly number[]): number {
  return defaultFlowShift({
    width: innerWidth(transformerConfig),
    qkNorm: transformerConfig.qk_norm !== null,
    resolution: Math.max(...resolutions),
  });
}

/** Keys of the pipeline's parts by the contents of their files. */
async function pipelineKey(
  pipeline: SanaPipeline,
): Promise<{ readonly transformer: string; readonly vae: string; readonly text: string }> {
  const filesOf = (weights: ReadonlyMap<string, object>): string[] => [
    ...new Set(
      [...weights.values()].flatMap((value) => ('path' in value && typeof value.path === 'string' ? [value.path] : [])),
    ),
  ];
  const [transformer, vae, { textEncoder }] = [
    await pipeline.loadTransformer(),
    await pipeline.loadVae(),
    await pipeline.loadPromptEncoder(),
  ];
  const config = (part: string): string =>
    join(pipeline.folder, part, part === 'tokenizer' ? 'tokenizer.json' : 'config.json');
  return {
    transformer: await modelFilesKey([config('transformer'), ...filesOf(transformer.weights)]),
    vae: await modelFilesKey([config('vae'), ...filesOf(vae.weights)]),
    text: await modelFilesKey([config('text_encoder'), config('tokenizer'), ...filesOf(textEncoder.weights)]),
  };
}

function* take<T>(values: Iterable<T>, from: number, to: number): Generator<T> {
  let index = 0;
  for (const value of values) {
    if (index >= to) return;
    if (index++ >= from) yield value;
  }
}

function* samplesOf(
  batches: Iterable<Batch>,
  more: readonly Batch['samples'][number][],
): Generator<Batch['samples'][number]> {
  for (const { samples } of batches) yield* samples;
  yield* more;
}

/** Gives batches by number, in order, and loads the next one while the engine computes. */
function prefetch<T, R>(
  plan: Iterable<T>,
  first: number,
  load: (value: T, index: number) => Promise<R>,
): (index: number) => Promise<R> {
  const values = plan[Symbol.iterator]();
  let next = first;
  let ahead: Promise<R> | undefined;
  const start = (): Promise<R> | undefined => {
    const { value, done } = values.next();
    if (done) return undefined;
    const loading = load(value, next++);
    // Its failure is told when it is asked for.
    loading.catch(() => undefined);
    return loading;
  };
  return async (index) => {
    const current = ahead ?? start();
    if (!current || index !== next - 1)
      throw new RangeError(`batches are taken in order: ${next - 1} is next, ${index} was asked for`);
    const result = await current;
    ahead = start();
    return result;
  };
}

/** The steps whose pictures are all there, in order. */
async function sampledSteps(runDir: string, count: number): Promise<readonly number[]> {
  if (count === 0) return [];
  const lists = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const names = await readdir(join(runDir, 'samples', String(index + 1))).catch(() => []);
      return new Set(names.flatMap((file) => (/^step-(\d+)\.png$/.test(file) ? [Number(/\d+/.exec(file)?.[0])] : [])));
    }),
  );
  const [first = new Set<number>()] = lists;
  return [...first].filter((step) => lists.every((list) => list.has(step))).sort((a, b) => a - b);
}
