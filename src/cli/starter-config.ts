import { stringify } from 'yaml';

/** What was found in a folder of pictures. */
export interface PictureFolder {
  readonly pictures: number;
  /** Pictures that have a caption of their own. */
  readonly captioned: number;
  /** Pictures that have transparent parts. */
  readonly transparent: number;
  /** Half of the pictures have the area of a square of this side, in pixels, or more. */
  readonly side: number;
}

/** What a starter config is made from. */
export interface StarterConfigOptions {
  /** A Hugging Face id, a folder, or sana-pico. */
  readonly model: string;
  /** Side in pixels of the pictures that the model was trained on, where that is known. */
  readonly size?: number;
  /** The folder of this package's docs, from the config's folder. */
  readonly docs: string;
  /** The pictures' folder as the config is to say it. */
  readonly path: string;
  readonly folder: PictureFolder;
  /** The caption of pictures that have none; not needed where all have one. */
  readonly instancePrompt?: string;
  /** Some of the captions, for samples where there is no such prompt. */
  readonly captions?: readonly string[];
  readonly triggerWord: string;
}

interface ModelHints {
  readonly pattern: RegExp;
  readonly note: string;
  readonly model: readonly string[];
  readonly lora: readonly string[];
  readonly train: readonly string[];
}

// What configs/ has for these models, by their names.
const hints: readonly ModelHints[] = [
  {
    pattern: /(^|[/\\])sana-pico$/,
    note: 'sana-pico comes with this package and draws small cartoons; see configs/ for the real models.',
    model: [],
    lora: ['  target_modules: [to_q, to_k, to_v, to_out.0, conv_inverted, conv_point]'],
    train: [
      '  train_batch_size: 4',
      '  learning_rate: 1.5e-3',
      '  lr_scheduler: constant_with_warmup',
      '  lr_warmup_steps: 20',
    ],
  },
  {
    pattern: /Sana_600M_.*_diffusers$/,
    note: 'The model is downloaded once: 7 GB.',
    model: ['  variant: fp16'],
    lora: [],
    train: [],
  },
  {
    pattern: /_BF16_diffusers$/,
    note: 'The model is downloaded once: 10 GB.',
    model: ['  variant: bf16'],
    lora: [],
    train: ['  gradient_checkpointing: true # less memory, a third more time'],
  },
];

/** A text as a YAML value on one line. */
function scalar(text: string): string {
  return stringify(text, {
    lineWidth: 0,
    defaultStringType: 'PLAIN',
    defaultKeyType: 'PLAIN',
    blockQuote: false,
  }).trimEnd();
}

/** About 100 steps a picture: fewer leave it vague, more wear it out. */
export function suggestedSteps(pictures: number): number {
  return Math.min(2000, Math.max(300, Math.round(pictures * 100)));
}

/**
 * The resolution to train at, with its reason. Pictures that are much smaller than the model's own would be enlarged,
 * and their blur be learned; a model copes with half its own.
 */
function resolutionLines({ size, folder: { side } }: StarterConfigOptions): readonly string[] {
  if (size === undefined || side >= 0.8 * size) return [];
  const half = size / 2;
  return size >= 1024 && side < 0.7 * size
    ? [`  resolution: ${half} # the model's own is ${size}, but most pictures are smaller and would be enlarged`]
    : [
        `  # Most pictures are smaller than the model's ${size} x ${size} and are enlarged: larger ones would be better.`,
      ];
}

/** A config for a folder of pictures, with a comment where someone will want to change something. */
export function starterConfig(options: StarterConfigOptions): string {
  const { model, docs, path, folder, instancePrompt, triggerWord } = options;
  const { pictures, captioned, transparent } = folder;
  const hint = hints.find(({ pattern }) => pattern.test(model));
  const captions =
    captioned === pictures
      ? `all ${pictures} have captions of their own`
      : captioned === 0
        ? 'none has a caption of its own, so all get this one'
        : `${captioned} of ${pictures} have captions; the others get this one`;
  const prompts =
    instancePrompt === undefined
      ? (options.captions ?? []).slice(0, 2)
      : [instancePrompt, `${instancePrompt} in the snow`];
  const heldOut = Math.round(pictures / 10);
  const lines = [
    `# yaml-language-server: $schema=${docs}/config.schema.json`,
    `# All options with their defaults: ${docs}/config.md`,
    ...(hint ? [`# ${hint.note}`] : []),
    'model:',
    `  path: ${scalar(model)}`,
    ...(hint?.model ?? []),
    '',
    'dataset:',
    `  path: ${scalar(path)} # ${pictures} ${pictures === 1 ? 'picture' : 'pictures'}`,
    instancePrompt === undefined
      ? `  # No instance_prompt: ${captions}.`
      : `  instance_prompt: ${scalar(instancePrompt)} # ${captions}`,
    `  trigger_word: ${scalar(triggerWord)} # a word that means nothing else`,
    '  repeats: 1 # uses of a picture in an epoch; more for the smaller of several sources',
    ...resolutionLines(options),
    ...(transparent > 0
      ? [`  # mask: alpha # ${transparent} have transparent parts; this learns from the rest alone`]
      : []),
    ...(pictures >= 30 ? [`  validation_count: ${heldOut} # held out, to see when it is enough`] : []),
    ...(hint && hint.lora.length > 0 ? ['', 'lora:', ...hint.lora] : []),
    '',
    'train:',
    `  max_train_steps: ${suggestedSteps(pictures)} # about 100 a picture, from 300 to 2000`,
    ...(hint?.train ?? []),
    '',
    'sample:',
    '  prompts:',
    ...prompts.map((prompt) => `    - ${scalar(prompt)}`),
  ];
  return `${lines.join('\n')}\n`;
}
