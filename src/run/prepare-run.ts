import { join } from 'node:path';

import { type Cache, openCache } from '../../datasets/cache.ts';
import { datasetUse } from '../../datasets/dataset-options.ts';
import type { Example } from '../../datasets/example.ts';
import { captionStage } from '../caption/caption-stage.ts';
import type { Config } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { pushObstacle } from '../hub/push-files.ts';
import { streamModel } from '../hub/resolve-model.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import type { StartingAdapter } from '../lora/start-from.ts';
import { openPipeline, type SanaPipeline } from '../pipeline/open-pipeline.ts';
import { adapterModules, startingAdapter } from './adapter-modules.ts';
import { withTextPrecision } from './base-precision.ts';
import { estimateRun } from './estimate.ts';
import type { CacheModels } from './fill-cache.ts';
import { textSettings } from './text-settings.ts';
import { loadPictures } from './load-pictures.ts';
import { pipelineKey, vaeOptions } from './pipeline-key.ts';
import { preflight } from './preflight.ts';
import { planRun, type RunPlan } from './run-plan.ts';
import { modelSize, runSize } from './run-size.ts';

/** A run that is looked through and planned: what every stage after it works on. */
export interface PreparedRun {
  readonly config: Config;
  readonly engine: Engine;
  readonly pipeline: SanaPipeline;
  /** Key of the transformer's files. */
  readonly transformerKey: string;
  readonly cache: Cache;
  readonly models: CacheModels;
  /** The instruction's name, for what files say of themselves; null without one. */
  readonly chiName: string | null;
  readonly modules: AdaptedModules;
  /** The adapter that the config goes on from. */
  readonly start: StartingAdapter | undefined;
  readonly examples: readonly Example[];
  /** The index in the config of the source that a data set's name belongs to. */
  readonly sourceOf: (dataset: string) => number | undefined;
  readonly plan: RunPlan;
  /** The step that training goes on from. */
  readonly firstStep: number;
}

/** What {@link prepareRun} works with. */
export interface PrepareRunOptions {
  readonly config: Config;
  /** The run's name: the config file's. */
  readonly name: string;
  readonly engine: Engine;
  /** How fast it multiplies. */
  readonly gigaflops: number;
  readonly firstStep: number;
  /** Is told what the cache has to say. */
  readonly onNotice: (notice: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Opens the model, pictures, captions and cache of a run, plans it, and looks at what it will take before hours are
 * spent.
 *
 * @throws UserError for everything that the user can mend
 */
export async function* prepareRun(options: PrepareRunOptions): AsyncGenerator<TrainEvent, PreparedRun> {
  const { config, name, engine, gigaflops, firstStep, onNotice, signal } = options;
  const runDir = config.run_dir;
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
  const { chi, chiName, maxSequenceLength } = textSettings(config.model);
  const start = await startingAdapter(config, pipeline.transformerConfig);
  for (const message of start?.notices ?? []) yield { kind: 'log', message };
  const modules = start?.modules ?? adapterModules(config, pipeline.transformerConfig);
  const resolution = pipeline.defaultSize;

  // Pictures, class pictures first where the config wants the prior kept.
  const cache = await openCache(config.dataset.cache_dir ?? join(runDir, 'cache'), {
    onNotice,
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
  const { maxTrainSteps } = plan;
  const { text_encoder_precision: textPrecision } = config.model;
  const models: CacheModels = { vaeKey: modelKey.vae, textKey: modelKey.text, textPrecision, chi, maxSequenceLength };
  const sourceNames = new Map(instances.map((source, i) => [datasetUse(source).name, i]));
  yield { kind: 'run', name, runDir, model: config.model.path, firstStep, maxTrainSteps, config };

  // A look at what it will take, before hours are spent.
  const { size } = await runSize({
    config,
    plan,
    step: firstStep,
    model: await modelSize(pipeline, true, config.model.variant),
    modules,
    tokenizer: (await pipeline.loadPromptEncoder()).tokenizer,
    chi,
    maxSequenceLength,
    cached: { cache, models },
  });
  yield* preflight(estimateRun(size, gigaflops), size.steps, { cache: cache.folder, run: runDir });
  const obstacle = config.export.push_to_hub === null ? undefined : await pushObstacle();
  if (obstacle !== undefined) yield { kind: 'warning', message: obstacle };
  return {
    config,
    engine,
    pipeline: withTextPrecision(pipeline, textPrecision, {
      engine,
      cacheFolder: cache.folder,
      textKey: () => modelKey.text,
      ...(signal && { signal }),
    }),
    transformerKey: modelKey.transformer,
    cache,
    models,
    chiName,
    modules,
    start,
    examples,
    sourceOf: (dataset) => sourceNames.get(dataset),
    plan,
    firstStep,
  };
}
