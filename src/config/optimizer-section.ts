import { z } from 'zod';

import { optionDocs, positive } from './option.ts';

const decay = z.number().min(0).lt(1);
const weightDecay = z.number().min(0);

const betas = (first: number, second: number) =>
  z
    .tuple([decay, decay])
    .default([first, second])
    .register(optionDocs, {
      about: 'Decay of the mean of the gradient and of the mean of its square.',
      source: `[${first}, ${second}]: PyTorch and diffusers' script`,
      otherNames: ['adam_beta1', 'adam_beta2'],
    });

const eps = () =>
  positive.default(1e-8).register(optionDocs, {
    about: 'Keeps the division finite where gradients are zero.',
    source: "PyTorch and diffusers' script",
    otherNames: ['adam_epsilon'],
  });

const weightDecayOf = (value: number, source: string) =>
  weightDecay.default(value).register(optionDocs, {
    about: 'The share of a weight that a step at learning rate 1 takes away.',
    source,
    otherNames: ['adam_weight_decay'],
  });

const clipThreshold = () =>
  positive
    .default(1)
    .register(optionDocs, { about: 'The largest root mean square of an update.', source: "the paper's code" });

const adamw = z.strictObject({
  name: z.literal('adamw'),
  betas: betas(0.9, 0.999),
  eps: eps(),
  weight_decay: weightDecayOf(1e-4, "diffusers' script"),
});

const prodigy = z.strictObject({
  name: z.literal('prodigy'),
  betas: betas(0.9, 0.999),
  beta3: decay
    .nullable()
    .default(null)
    .register(optionDocs, {
      about: 'Decay of the sums behind the estimate of the step size.',
      defaultText: 'the square root of the second of `betas`',
      source: 'prodigyopt',
      otherNames: ['prodigy_beta3'],
    }),
  eps: eps(),
  weight_decay: weightDecayOf(1e-4, "diffusers' script"),
  decouple: z
    .boolean()
    .default(true)
    .register(optionDocs, {
      about: "AdamW's weight decay; `false` adds it to the gradient.",
      source: "diffusers' script",
      otherNames: ['prodigy_decouple'],
    }),
  use_bias_correction: z
    .boolean()
    .default(true)
    .register(optionDocs, {
      about: "Adam's correction of the first steps.",
      source: "diffusers' script",
      otherNames: ['prodigy_use_bias_correction'],
    }),
  safeguard_warmup: z
    .boolean()
    .default(true)
    .register(optionDocs, {
      about: 'Keeps a warm-up of the learning rate from inflating the estimate.',
      source: "diffusers' script",
      otherNames: ['prodigy_safeguard_warmup'],
    }),
  d0: positive.default(1e-6).register(optionDocs, { about: 'The first estimate.', source: 'prodigyopt' }),
  d_coef: positive.default(1).register(optionDocs, {
    about: 'Multiplies the estimate; below 1 trains more cautiously.',
    usual: '0.5 to 2',
    source: 'prodigyopt',
  }),
  growth_rate: z.number().gt(1).nullable().default(null).register(optionDocs, {
    about: 'The most that the estimate may grow by in a step, as a factor; null is no limit.',
    usual: '1.02 is a slow start',
    source: 'prodigyopt',
  }),
});

const came = z.strictObject({
  name: z.literal('came'),
  betas: z.tuple([decay, decay, decay]).default([0.9, 0.999, 0.9999]).register(optionDocs, {
    about: 'Decay of the mean update, of the second moment and of the instability.',
    source: "NVlabs' configs",
  }),
  eps: z.tuple([positive, positive]).default([1e-30, 1e-16]).register(optionDocs, {
    about: 'Added to the squared gradient and to the squared deviation.',
    source: "NVlabs' configs",
  }),
  clip_threshold: clipThreshold(),
  weight_decay: weightDecayOf(0, "NVlabs' configs"),
});

const lion = z.strictObject({
  name: z.literal('lion'),
  betas: z.tuple([decay, decay]).default([0.9, 0.99]).register(optionDocs, {
    about: 'Weight of the momentum in the update, and its decay.',
    source: 'arXiv 2302.06675',
  }),
  weight_decay: weightDecayOf(0, "lion-pytorch's"),
});

const adafactor = z.strictObject({
  name: z.literal('adafactor'),
  eps: z.tuple([positive, positive]).default([1e-30, 1e-3]).register(optionDocs, {
    about: 'Added to the squared gradient; the least scale of `scale_parameter`.',
    source: 'transformers',
  }),
  clip_threshold: clipThreshold(),
  decay_rate: z.number().lt(0).default(-0.8).register(optionDocs, {
    about: "The second moment's decay at step t is 1 - t^decay_rate.",
    source: 'transformers',
  }),
  beta1: decay.nullable().default(null).register(optionDocs, {
    about: 'Decay of a mean of the updates; null has none and takes no memory for it.',
    source: 'transformers',
  }),
  weight_decay: weightDecayOf(0, 'transformers'),
  scale_parameter: z.boolean().default(false).register(optionDocs, {
    about: 'Multiplies the learning rate by the size of each tensor, which is 0 for one that begins at 0.',
    source: 'off, unlike transformers, so that `learning_rate` means what it does elsewhere',
  }),
  relative_step: z.boolean().default(false).register(optionDocs, {
    about: 'Ignores `learning_rate` and uses min(0.01, 1 / sqrt(step)).',
    source: 'off, unlike transformers, so that `learning_rate` counts',
  }),
  warmup_init: z.boolean().default(false).register(optionDocs, {
    about: 'With `relative_step`: begins at 1e-6 a step.',
    source: 'transformers',
  }),
});

/** `train.optimizer`: a name, or a name with that optimizer's own settings. */
export const optimizerSection = z.discriminatedUnion('name', [adamw, prodigy, came, lion, adafactor]);

/** Learning rates that fit adapters, for `learning_rate: auto`. */
export const usualLearningRate = {
  adamw: 1e-4,
  prodigy: 1,
  came: 1e-4,
  lion: 2e-5,
  adafactor: 1e-4,
} as const;
