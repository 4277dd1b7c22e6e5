import { stringify } from 'yaml';

/** What a starter config is made from. */
export interface StarterConfigOptions {
  /** A Hugging Face id, a folder, or sana-pico. */
  readonly model: string;
  /** The folder of this package's docs, from the config's folder. */
  readonly docs: string;
  /** The pictures' folder as the config is to say it. */
  readonly path: string;
  readonly pictures: number;
  /** Pictures that have a caption of their own. */
  readonly captioned: number;
  /** The caption of the others. */
  readonly instancePrompt: string;
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

/** A config for a folder of pictures, with a comment where someone will want to change something. */
export function starterConfig(options: StarterConfigOptions): string {
  const { model, docs, path, pictures, captioned, instancePrompt, triggerWord } = options;
  const hint = hints.find(({ pattern }) => pattern.test(model));
  const captions =
    captioned === pictures
      ? `all ${pictures} have captions`
      : captioned === 0
        ? 'none has a caption of its own, so all get this one'
        : `${captioned} of ${pictures} have captions; the others get this one`;
  const lines = [
    `# yaml-language-server: $schema=${docs}/config.schema.json`,
    `# All options with their defaults: ${docs}/config.md`,
    ...(hint ? [`# ${hint.note}`] : []),
    'model:',
    `  path: ${scalar(model)}`,
    ...(hint?.model ?? []),
    '',
    'dataset:',
    `  path: ${scalar(path)} # ${pictures} pictures`,
    `  instance_prompt: ${scalar(instancePrompt)} # ${captions}`,
    `  trigger_word: ${scalar(triggerWord)} # a word that means nothing else`,
    ...(hint && hint.lora.length > 0 ? ['', 'lora:', ...hint.lora] : []),
    '',
    'train:',
    `  max_train_steps: ${suggestedSteps(pictures)} # about 100 a picture`,
    ...(hint?.train ?? []),
    '',
    'sample:',
    '  prompts:',
    `    - ${scalar(instancePrompt)}`,
    `    - ${scalar(`${instancePrompt} in the snow`)}`,
  ];
  return `${lines.join('\n')}\n`;
}
