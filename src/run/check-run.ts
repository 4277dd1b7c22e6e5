import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { DatasetOptions } from '../../datasets/dataset-options.ts';
import { loadDatasets, type ScanProgress } from '../../datasets/load-datasets.ts';
import type { DatasetReport } from '../../datasets/report.ts';
import { isPictureName } from '../../datasets/scan-picture.ts';
import { withCaptionChoice } from '../caption/caption-stage.ts';
import { classPrompts } from '../config/class-prompts.ts';
import { classDatasetOptions, datasetOptions } from '../config/options.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { hubAccess } from '../hub/hub-access.ts';
import { pushObstacle } from '../hub/push-files.ts';
import { resolveModel } from '../hub/resolve-model.ts';
import { formatBytes } from '../io/format-bytes.ts';
import { innerWidth } from '../models/sana-transformer-config.ts';
import { openPipeline, type SanaPipeline } from '../pipeline/open-pipeline.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import { adapterModules } from './adapter-modules.ts';
import { chooseEngine } from './choose-engine.ts';
import { createEngine, engineSpeed } from './create-engine.ts';
import { estimateRun, type RunEstimate, transformerSize } from './estimate.ts';
import { textSettings } from './text-settings.ts';
import { checkWritable, judge, type Machine, thisMachine } from './preflight.ts';
import { checkpointToResume } from './resume-point.ts';
import { lockRun } from './run-lock.ts';
import { planRun, type RunPlan } from './run-plan.ts';
import { type CaptionSizes, modelSize, runSize } from './run-size.ts';

/** What was found of a run before it starts. A part is missing where a problem kept it from being looked at. */
export interface RunCheck {
  /** What keeps the run from starting, as sentences. */
  readonly problems: readonly string[];
  /** What may not be meant, or may go wrong. */
  readonly warnings: readonly string[];
  readonly model?: {
    readonly layers: number;
    readonly width: number;
    readonly parameters: number;
    /** Side of its pictures in pixels. */
    readonly size: number;
    readonly folder: string;
    /** Bytes that the run will download first. */
    readonly missingBytes: number;
  };
  readonly dataset?: DatasetReport;
  readonly captions?: CaptionSizes;
  readonly plan?: Pick<RunPlan, 'perEpoch' | 'maxTrainSteps'> & { readonly step: number };
  readonly adapter?: { readonly layers: number; readonly parameters: number };
  /** For a machine that multiplies so fast. */
  readonly estimate?: RunEstimate & { readonly gigaflops: number };
}

/** Settings of {@link checkRun}. */
export interface CheckRunOptions {
  readonly resume?: string;
  readonly signal?: AbortSignal;
  /** What this machine has. @default this one */
  readonly machine?: Machine;
  /** Is told how downloads of configs go on. */
  readonly onEvent?: (event: TrainEvent) => void;
  readonly onScan?: (progress: ScanProgress) => void;
}

/**
 * Looks at everything that a run needs and trains nothing: the model's files and shapes, the pictures, their captions,
 * the folders, and what it will take. All problems are found at once, as far as one does not hide another. Of a model
 * that is not downloaded yet only the small files are.
 */
export async function checkRun(config: Config, options: CheckRunOptions = {}): Promise<RunCheck> {
  const { signal, machine = thisMachine(), onScan } = options;
  const problems: string[] = [];
  const warnings: string[] = [];
  /** Does a part of the work; a user's mistake in it is a problem, and nothing comes of it. */
  async function attempt<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (!problems.includes(error.message)) problems.push(error.message);
      return undefined;
    }
  }

  const folders = { cache: config.dataset.cache_dir ?? join(config.run_dir, 'cache'), run: config.run_dir };
  await attempt(() => checkWritable(Object.values(folders)));
  const resumed = await attempt(async () => {
    if ((await stat(config.run_dir).catch(() => undefined))?.isDirectory())
      await (await lockRun(config.run_dir)).release();
    return await checkpointToResume(config, options.resume ?? config.train.resume_from_checkpoint);
  });
  const step = resumed?.step ?? 0;

  const found = await attempt(async () => await openModel(config, options, warnings, problems));
  const { pipeline, missingBytes = 0 } = found ?? {};
  const isHere = pipeline !== undefined && missingBytes === 0;
  const whole = isHere && (await attempt(async () => await loadParts(pipeline)));
  const modules = pipeline && (await attempt(() => adapterModules(config, pipeline.transformerConfig)));

  // Without a model there is still something to say of the pictures.
  const classes = await classFolders(config);
  const resolution = pipeline?.defaultSize ?? 512;
  const loaded = await attempt(async () => {
    const priors = classes.flatMap(({ options }) => options(resolution) ?? []);
    return await loadDatasets([...datasetOptions(config.dataset, resolution), ...priors], {
      ...(signal && { signal }),
      ...(onScan && { onProgress: onScan }),
    });
  });
  const obstacle = config.export.push_to_hub === null ? undefined : await pushObstacle();
  if (obstacle !== undefined) warnings.push(obstacle);
  const { captioners } = config.caption;
  if (captioners.length > 0) {
    warnings.push(
      `Captions by ${captioners.length === 1 ? 'the captioner' : `the ${captioners.length} captioners`} are made when the run starts, or by sana-train caption; those that are here now were looked at.`,
    );
  }
  const plan =
    pipeline &&
    loaded &&
    (await attempt(() => planRun(config, pipeline, withCaptionChoice(loaded.examples, config.caption))));
  const gigaflops = await attempt(async () => await speedOf(config));

  let captions: CaptionSizes | undefined;
  let estimate: RunCheck['estimate'];
  if (pipeline && plan && modules && (whole === true || !isHere)) {
    await attempt(async () => {
      const sized = await runSize({
        config,
        plan,
        step,
        model: await modelSize(pipeline, isHere, config.model.variant),
        modules,
        tokenizer: await loadTokenizer(join(pipeline.folder, 'tokenizer')),
        ...textSettings(config.model),
        classPictures: classes.reduce((sum, { missing }) => sum + missing, 0),
      });
      captions = sized.captions;
      if (gigaflops === undefined) return;
      estimate = { ...estimateRun(sized.size, gigaflops), gigaflops };
      const verdict = await judge(estimate, folders, machine);
      problems.push(...verdict.problems);
      warnings.push(...verdict.warnings);
    });
  }
  return {
    problems,
    warnings,
    ...(pipeline && {
      model: {
        layers: pipeline.transformerConfig.num_layers,
        width: innerWidth(pipeline.transformerConfig),
        parameters: transformerSize(pipeline.transformerConfig),
        size: pipeline.defaultSize,
        folder: pipeline.folder,
        missingBytes,
      },
    }),
    ...(loaded && { dataset: loaded.report }),
    ...(captions && { captions }),
    ...(plan && { plan: { perEpoch: plan.perEpoch, maxTrainSteps: plan.maxTrainSteps, step } }),
    ...(modules && {
      adapter: {
        layers: modules.size,
        parameters: [...modules.values()].reduce(
          (sum, { rank, inFeatures, outFeatures }) => sum + rank * (inFeatures + outFeatures),
          0,
        ),
      },
    }),
    ...(estimate && { estimate }),
  };
}

async function openModel(
  { model }: Config,
  { signal, onEvent, machine = thisMachine() }: CheckRunOptions,
  warnings: string[],
  problems: string[],
): Promise<{ readonly pipeline: SanaPipeline; readonly missingBytes: number }> {
  const { folder, missingBytes } = await resolveModel(model, {
    parts: 'configs',
    ...(signal && { signal }),
    onProgress: (event) => (event.kind === 'warning' ? void warnings.push(event.message) : onEvent?.(event)),
  });
  if (missingBytes > 0) {
    const { cacheDir } = await hubAccess();
    const { free } = await machine.disk(cacheDir);
    if (missingBytes > free) {
      problems.push(
        `${model.path} takes ${formatBytes(missingBytes)} more in ${cacheDir}, and ${formatBytes(free)} are free; free some space, or set HF_HOME to a folder on another disk.`,
      );
    }
  }
  const pipeline = await openPipeline(folder, model.variant === null ? {} : { variant: model.variant });
  if (pipeline.transformerConfig.guidance_embeds) {
    throw new UserError(
      `${model.path} is a distilled model with guidance embeddings (Sana-Sprint), which LoRA training would undo; train on the Sana it was made from.`,
    );
  }
  return { pipeline, missingBytes };
}

/** Opens all weights: each tensor has to be there, in its shape, and finite. */
async function loadParts(pipeline: SanaPipeline): Promise<true> {
  await pipeline.loadTransformer();
  await pipeline.loadVae();
  await pipeline.loadPromptEncoder();
  return true;
}

/** Class pictures that the config has already, and how many are to be made. */
async function classFolders({
  dataset,
  train,
}: Config): Promise<
  readonly { readonly missing: number; readonly options: (resolution: number) => DatasetOptions | undefined }[]
> {
  if (!train.with_prior_preservation) return [];
  const sources = new Map(
    dataset.sources
      .filter((source) => source.class_prompt !== null)
      .map((source) => [source.class_data_dir ?? classPrompts(source).join('\n'), source]),
  );
  return await Promise.all(
    [...sources.values()].map(async (source) => {
      const folder = source.class_data_dir;
      const names = folder === null ? [] : await readdir(folder).catch(() => []);
      const there = names.filter(isPictureName).length;
      return {
        missing: Math.max(0, source.num_class_images - there),
        options: (resolution: number) =>
          folder !== null && there > 0 ? classDatasetOptions(source, folder, resolution) : undefined,
      };
    }),
  );
}

/** The speed of the engine that the config names. */
async function speedOf({ model }: Config): Promise<number> {
  const { name } = await chooseEngine(model.engine);
  const engine = createEngine({ engine: name, threads: model.threads });
  try {
    return await engineSpeed(engine, name);
  } finally {
    await engine.close();
  }
}
