import { isAbsolute, relative } from 'node:path';

import { UserError } from '../errors.ts';
import { createSchedule } from '../optim/schedules.ts';
import { classPrompts } from './class-prompts.ts';
import { idleOptions } from './idle-options.ts';
import { scheduleOptions } from './options.ts';
import { addedClassPrompts } from './prompt-roles.ts';
import { usualLearningRate } from './optimizer-section.ts';
import type { Config } from './schema.ts';
import type { Finding, IsGiven } from './finding.ts';
import type { Path } from './schema-node.ts';

/** Checks what no single option shows, in the order of the sections. */
export function checkTogether(config: Config, isGiven: IsGiven): readonly Finding[] {
  return [
    ...checkDataset(config),
    ...checkPrior(config, isGiven),
    ...checkLora(config),
    ...checkTrain(config, isGiven),
    ...checkSample(config, isGiven),
    ...idleOptions(config, isGiven),
  ];
}

/** Whether a folder is another one or in it. */
function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way.split(/[/\\]/)[0] !== '..' && !isAbsolute(way));
}

function* checkDataset({ dataset, caption, run_dir }: Config): Generator<Finding> {
  const { sources } = dataset;
  for (const [index, source] of sources.entries()) {
    const path = pathOfSource(sources.length, index, 'path');
    if (isInside(run_dir, source.path)) {
      yield {
        level: 'error',
        paths: [['run_dir'], path],
        message: `run_dir (${run_dir}) lies in the pictures' folder, so the next run would learn from this one's samples; choose another folder.`,
      };
    }
    if (source.class_data_dir !== null && isInside(source.class_data_dir, source.path)) {
      yield {
        level: 'error',
        paths: [pathOfSource(sources.length, index, 'class_data_dir'), path],
        message: `dataset.class_data_dir (${source.class_data_dir}) lies in the pictures' folder, so class pictures would be learned as the subject; choose another folder.`,
      };
    }
    if (source.name !== null && sources.findIndex(({ name }) => name === source.name) < index) {
      yield {
        level: 'error',
        paths: [['dataset', 'sources', index, 'name']],
        message: `dataset.sources.${index} is called ${source.name} like one before; give it a name of its own.`,
      };
    }
    if (source.captions === 'instance_prompt' && source.instance_prompt === null) {
      yield {
        level: 'error',
        paths: [
          pathOfSource(sources.length, index, 'captions'),
          pathOfSource(sources.length, index, 'instance_prompt'),
        ],
        message:
          'dataset.captions is instance_prompt, but there is no dataset.instance_prompt; add one, such as "a photo of sks dog".',
      };
    }
  }
  if (
    caption.clip_model === 'none' &&
    caption.captioners.length > 1 &&
    ['clip_score_power', 'softmax', 'best'].includes(caption.selection)
  ) {
    yield {
      level: 'error',
      paths: [
        ['caption', 'selection'],
        ['caption', 'clip_model'],
        ['caption', 'captioners'],
      ],
      message: `caption.selection is ${caption.selection}, which needs scores, but caption.clip_model is none; use uniform or first, or a CLIP.`,
    };
  }
}

function pathOfSource(sources: number, index: number, option: string): Path {
  // With a single source the option is most often the section's; the place of a missing one is its section's anyway.
  return sources === 1 ? ['dataset', option] : ['dataset', 'sources', index, option];
}

function* checkPrior(config: Config, isGiven: IsGiven): Generator<Finding> {
  const { dataset, train } = config;
  const classPaths: [Path, ...Path[]] = [
    ['train', 'with_prior_preservation'],
    ['dataset', 'class_prompt'],
    ['dataset', 'sources'],
  ];
  const withClass = dataset.sources.filter(({ class_prompt }) => class_prompt !== null);
  if (train.with_prior_preservation && withClass.length === 0) {
    yield {
      level: 'error',
      paths: classPaths,
      message:
        'train.with_prior_preservation is true, but there is no dataset.class_prompt; add what the class is called, such as "a photo of dog" for "a photo of sks dog".',
    };
  }
  if (!train.with_prior_preservation && withClass.length > 0 && addedClassPrompts(config).length === 0) {
    yield {
      level: 'warning',
      paths: [['dataset', 'class_prompt'], ...classPaths],
      message: 'dataset.class_prompt does nothing without train.with_prior_preservation: true.',
    };
  }
  if (!train.with_prior_preservation && isGiven(['train', 'prior_loss_weight'])) {
    yield {
      level: 'warning',
      paths: [['train', 'prior_loss_weight'], ...classPaths],
      message: 'train.prior_loss_weight does nothing without train.with_prior_preservation: true.',
    };
  }
  for (const [index, source] of dataset.sources.entries()) {
    const { instance_prompt, trigger_word, num_class_images } = source;
    const prompts = classPrompts(source);
    const pathOf = (option: string): Path => pathOfSource(dataset.sources.length, index, option);
    const path = pathOf('class_prompt');
    if (instance_prompt !== null && prompts.includes(instance_prompt)) {
      yield {
        level: 'error',
        paths: [path, pathOf('instance_prompt')],
        message: `dataset.class_prompt and instance_prompt are both "${instance_prompt}"; leave the trigger word out of class_prompt.`,
      };
    } else if (trigger_word !== null && prompts.some((prompt) => prompt.split(/\s+/).includes(trigger_word))) {
      yield {
        level: 'warning',
        paths: [path, pathOf('trigger_word')],
        message: `dataset.class_prompt has the trigger word "${trigger_word}", so the class pictures work against your subject; leave it out.`,
      };
    }
    if (train.with_prior_preservation && num_class_images < prompts.length) {
      yield {
        level: 'warning',
        paths: [pathOf('num_class_images'), path],
        message: `dataset.num_class_images is ${num_class_images}, which leaves some of the ${prompts.length} prompts of class_prompt without a picture; use at least ${prompts.length}.`,
      };
    }
  }
}

function* checkLora({ lora, export: exported }: Config): Generator<Finding> {
  const conv = lora.target_modules.filter((name) => name.split('.').includes('conv_depth'));
  if (conv.length > 0) {
    yield {
      level: 'error',
      paths: [['lora', 'target_modules']],
      message: `lora.target_modules has ${conv.join(', ')}; no other program loads an adapter of the depthwise convolution: leave it out.`,
    };
  }
  // The rank of a Kronecker or Hadamard product is higher than that of its factors.
  const isProduct = lora.type === 'lokr' || lora.type === 'loha';
  if (exported.rank !== null && exported.rank > lora.rank && !isProduct) {
    yield {
      level: 'error',
      paths: [
        ['export', 'rank'],
        ['lora', 'rank'],
      ],
      message: `export.rank is ${exported.rank}, above lora.rank, ${lora.rank}; an adapter can only be made smaller.`,
    };
  }
}

function* checkTrain(config: Config, isGiven: IsGiven): Generator<Finding> {
  const { train } = config;
  const { learning_rate: rate, optimizer, max_train_steps: steps } = train;
  if (steps !== null && train.num_train_epochs !== null) {
    yield {
      level: 'error',
      paths: [
        ['train', 'num_train_epochs'],
        ['train', 'max_train_steps'],
      ],
      message: 'train has max_train_steps and num_train_epochs; keep one of them.',
    };
  }
  const { engine } = config.model;
  if (train.precision !== 'fp32' && engine !== 'cpu' && engine !== 'auto') {
    yield {
      level: 'error',
      paths: [
        ['train', 'precision'],
        ['model', 'engine'],
      ],
      message: `train.precision is ${train.precision}, which only the engine cpu has, and model.engine is ${engine}; use fp32.`,
    };
  }
  const { text_encoder_precision: textPrecision } = config.model;
  if (textPrecision !== 'fp32' && engine !== 'cpu' && engine !== 'auto') {
    yield {
      level: 'error',
      paths: [
        ['model', 'text_encoder_precision'],
        ['model', 'engine'],
      ],
      message: `model.text_encoder_precision is ${textPrecision}, which only the engine cpu has, and model.engine is ${engine}; use fp32.`,
    };
  }
  const usual = usualLearningRate[optimizer.name];
  const paths: Finding['paths'] = [
    ['train', 'learning_rate'],
    ['train', 'optimizer'],
  ];
  if (optimizer.name === 'prodigy' && (rate < 0.1 || rate > 2)) {
    yield {
      level: 'warning',
      paths,
      message: `train.learning_rate is ${rate}; prodigy multiplies the step size that it finds by it: use 1.`,
    };
  } else if (optimizer.name !== 'prodigy' && rate >= 0.02) {
    yield {
      level: 'warning',
      paths,
      message: `train.learning_rate is ${rate}, ${Math.round(rate / usual)} times what is usual with ${optimizer.name} (${usual}); the model will probably break.`,
    };
  }
  try {
    // Its sentences name the options as a config does.
    createSchedule(scheduleOptions(train, steps ?? 1));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const about = train.lr_scheduler === 'polynomial' ? 'lr_end' : 'lr_step_rules';
    yield {
      level: 'error',
      paths: [
        ['train', about],
        ['train', 'lr_scheduler'],
        ['train', 'learning_rate'],
      ],
      message: `train.${error.message}`,
    };
  }
  const hasWarmup = train.lr_scheduler !== 'constant' && train.lr_scheduler !== 'piecewise_constant';
  if (train.lr_warmup_steps > 0 && !hasWarmup) {
    yield {
      level: 'warning',
      paths: [
        ['train', 'lr_warmup_steps'],
        ['train', 'lr_scheduler'],
      ],
      message: `train.lr_warmup_steps does nothing with lr_scheduler: ${train.lr_scheduler}; use constant_with_warmup for a warm-up.`,
    };
  }
  if (steps === null) return;
  if (hasWarmup && train.lr_warmup_steps >= steps) {
    yield {
      level: 'warning',
      paths: [
        ['train', 'lr_warmup_steps'],
        ['train', 'max_train_steps'],
      ],
      message: `train.lr_warmup_steps is ${train.lr_warmup_steps} of max_train_steps, ${steps}: the learning rate never gets to its value.`,
    };
  }
  if (train.checkpointing_steps > steps && isGiven(['train', 'checkpointing_steps'])) {
    yield {
      level: 'warning',
      paths: [
        ['train', 'checkpointing_steps'],
        ['train', 'max_train_steps'],
      ],
      message: `train.checkpointing_steps is ${train.checkpointing_steps}, above max_train_steps, ${steps}: nothing is saved before the end.`,
    };
  }
}

function* checkSample({ sample, train }: Config, isGiven: IsGiven): Generator<Finding> {
  const interval = sample.guidance_interval;
  if (interval !== null && interval[0] >= interval[1]) {
    yield {
      level: 'error',
      paths: [['sample', 'guidance_interval']],
      message: `sample.guidance_interval is [${interval.join(', ')}]; the lower noise level goes first.`,
    };
  }
  if (train.max_train_steps !== null && sample.every > train.max_train_steps && isGiven(['sample', 'every'])) {
    yield {
      level: 'warning',
      paths: [
        ['sample', 'every'],
        ['train', 'max_train_steps'],
      ],
      message: `sample.every is ${sample.every}, above max_train_steps, ${train.max_train_steps}: there are samples only at the end${sample.at_start ? ' and the start' : ''}.`,
    };
  }
}
