import { basename } from 'node:path';

import type { DatasetOptions } from '../../datasets/dataset-options.ts';
import type { TimestepSamplerOptions } from '../flow/timestep-sampling.ts';
import type { AdapterConfig } from '../lora/adapter-config.ts';
import type { OptimizerOptions } from '../optim/create-optimizer.ts';
import type { ScheduleOptions } from '../optim/schedules.ts';
import type { PictureRequest } from '../pipeline/picture-request.ts';
import { classPrompts } from './class-prompts.ts';
import type { DatasetConfig, LoraConfig, SampleConfig, SourceConfig, TrainConfig } from './schema.ts';

/** `train.optimizer` as createOptimizer takes it. */
export function optimizerOptions({ optimizer }: TrainConfig): OptimizerOptions {
  switch (optimizer.name) {
    case 'adamw':
      return { name: 'adamw', betas: optimizer.betas, eps: optimizer.eps, weightDecay: optimizer.weight_decay };
    case 'prodigy':
      return {
        name: 'prodigy',
        betas: optimizer.betas,
        ...(optimizer.beta3 === null ? {} : { beta3: optimizer.beta3 }),
        eps: optimizer.eps,
        weightDecay: optimizer.weight_decay,
        decouple: optimizer.decouple,
        useBiasCorrection: optimizer.use_bias_correction,
        safeguardWarmup: optimizer.safeguard_warmup,
        d0: optimizer.d0,
        dCoef: optimizer.d_coef,
        ...(optimizer.growth_rate === null ? {} : { growthRate: optimizer.growth_rate }),
      };
    case 'came':
      return {
        name: 'came',
        betas: optimizer.betas,
        eps: optimizer.eps,
        clipThreshold: optimizer.clip_threshold,
        weightDecay: optimizer.weight_decay,
      };
    case 'lion':
      return { name: 'lion', betas: optimizer.betas, weightDecay: optimizer.weight_decay };
    case 'adafactor':
      return {
        name: 'adafactor',
        eps: optimizer.eps,
        clipThreshold: optimizer.clip_threshold,
        decayRate: optimizer.decay_rate,
        ...(optimizer.beta1 === null ? {} : { beta1: optimizer.beta1 }),
        weightDecay: optimizer.weight_decay,
        scaleParameter: optimizer.scale_parameter,
        relativeStep: optimizer.relative_step,
        warmupInit: optimizer.warmup_init,
      };
  }
}

/**
 * The learning-rate options of `train` as createSchedule takes them.
 * @param maxTrainSteps `train.max_train_steps`, or what `num_train_epochs` come to
 */
export function scheduleOptions(train: TrainConfig, maxTrainSteps: number): ScheduleOptions {
  return {
    name: train.lr_scheduler,
    learningRate: train.learning_rate,
    lrWarmupSteps: train.lr_warmup_steps,
    maxTrainSteps,
    lrNumCycles: train.lr_num_cycles,
    lrPower: train.lr_power,
    lrEnd: train.lr_end,
    ...(train.lr_step_rules === null ? {} : { stepRules: train.lr_step_rules }),
  };
}

/**
 * How noise levels are drawn, as createTimestepSampler takes it.
 * @param modelFlowShift what `flow_shift: auto` is for the model and the resolution: see defaultFlowShift
 */
export function timestepOptions(train: TrainConfig, modelFlowShift: number): TimestepSamplerOptions {
  return {
    sampling: train.weighting_scheme,
    logitMean: train.logit_mean,
    logitStd: train.logit_std,
    modeScale: train.mode_scale,
    flowShift: train.flow_shift === 'auto' ? modelFlowShift : train.flow_shift,
  };
}

/** `lora` as adaptedModules takes it. */
export function adapterOptions(lora: LoraConfig): AdapterConfig {
  return {
    type: lora.type,
    rank: lora.rank,
    alpha: lora.alpha,
    rankPattern: lora.rank_pattern,
    alphaPattern: lora.alpha_pattern,
    targetModules: lora.target_modules,
    rslora: lora.rslora,
    dropout: lora.dropout,
    lokr: { factor: lora.factor, decomposeBoth: lora.decompose_both, fullMatrix: lora.full_matrix },
  };
}

function backgroundOf({ background_color: color }: SourceConfig): readonly [number, number, number] {
  const part = (at: number): number => Number.parseInt(color.slice(at, at + 2), 16);
  return [part(1), part(3), part(5)];
}

/** What the pictures of a source and the class pictures beside them have in common. */
function commonOptions(source: SourceConfig, modelResolution: number) {
  return {
    resolutions: source.resolution === 'auto' ? [modelResolution] : source.resolution,
    square: !source.aspect_ratio_buckets,
    crop: source.center_crop ? ('center' as const) : ('random' as const),
    background: backgroundOf(source),
    minSide: source.minimum_image_size,
    dropout: source.caption_dropout,
  };
}

/** A name for each, numbered where it is taken: dog, dog-2, dog-3. */
function numbered(names: readonly string[], taken: ReadonlySet<string> = new Set()): readonly string[] {
  const all = new Set(taken);
  return names.map((name) => {
    let free = name;
    for (let count = 2; all.has(free); count++) free = `${name}-${count}`;
    all.add(free);
    return free;
  });
}

/**
 * The sources of `dataset` as loadDatasets takes them; how one of several captions is drawn is not part of it.
 * @param modelResolution what `resolution: auto` is
 */
export function datasetOptions({ sources }: DatasetConfig, modelResolution: number): readonly DatasetOptions[] {
  const given = sources.flatMap(({ name }) => name ?? []);
  const derived = sources.flatMap(({ name, path }) => (name === null ? [basename(path)] : []));
  const names = numbered(derived, new Set(given)).values();
  return sources.map((source) => ({
    ...commonOptions(source, modelResolution),
    folder: source.path,
    name: source.name ?? names.next().value ?? source.path,
    ...(source.files === null ? {} : { files: source.files }),
    kind: 'instance',
    repeats: source.repeats,
    weight: source.weight,
    flip: source.random_flip,
    captionsFrom: source.captions,
    ...(source.caption_table === null ? {} : { captionTable: source.caption_table }),
    ...(source.instance_prompt === null ? {} : { instancePrompt: source.instance_prompt }),
    ...(source.mask === null ? {} : { mask: source.mask === 'alpha' ? 'alpha' : { folder: source.mask } }),
    duplicates: source.duplicates,
    ...(source.trigger_word === null ? {} : { triggerWord: source.trigger_word }),
    prefix: source.caption_prefix,
    suffix: source.caption_suffix,
    shuffleTags: source.shuffle_tags,
    keepTags: source.keep_tags,
  }));
}

/**
 * The class pictures of a source as loadDatasets takes them; undefined for a source without a class prompt. Sources of
 * one class share a folder: it is to be loaded once.
 * @param folder where they are: `class_data_dir`, or what stands for it
 * @param modelResolution what `resolution: auto` is
 */
export function classDatasetOptions(
  source: SourceConfig,
  folder: string,
  modelResolution: number,
): DatasetOptions | undefined {
  const [prompt] = classPrompts(source);
  if (prompt === undefined) return undefined;
  return {
    ...commonOptions(source, modelResolution),
    folder,
    name: `class/${basename(folder)}`,
    kind: 'class',
    // The model's own pictures are as large as it makes them.
    minSide: 1,
    captionsFrom: 'auto',
    instancePrompt: prompt,
  };
}

/** The pictures that `sample` asks for, prompt by prompt; sizes that are `auto` are left to the model. */
export function pictureRequests(sample: SampleConfig): readonly PictureRequest[] {
  return sample.prompts.flatMap((prompt) =>
    Array.from({ length: sample.num_images_per_prompt }, (_, index) => ({
      prompt: prompt.prompt,
      negativePrompt: prompt.negative_prompt,
      seed: prompt.seed + index,
      ...(prompt.width === 'auto' ? {} : { width: prompt.width }),
      ...(prompt.height === 'auto' ? {} : { height: prompt.height }),
      steps: prompt.num_inference_steps,
      guidanceScale: prompt.guidance_scale,
      ...(sample.guidance_interval === null ? {} : { guidanceInterval: sample.guidance_interval }),
    })),
  );
}
