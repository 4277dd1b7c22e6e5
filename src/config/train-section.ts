import { z } from 'zod';

import { timestepSamplings } from '../flow/timestep-sampling.ts';
import { basePrecisions } from '../models/precisions.ts';
import { scheduleNames } from '../optim/schedules.ts';
import { optimizerSection, usualLearningRate } from './optimizer-section.ts';
import { auto, count, countFrom0, optionDocs, positive } from './option.ts';

/** `train`: the loop. */
export const trainSection = z
  .strictObject({
    max_train_steps: count
      .nullable()
      .default(null)
      .register(optionDocs, {
        about: 'Optimizer steps of the run.',
        usual: '300 to 2000; too many and the subject loses its poses and backgrounds',
        defaultText: '500, unless `num_train_epochs` is given',
        source: "the example of diffusers' script",
        mayChange: true,
        otherNames: ['steps', 'max_steps', 'total_steps', 'num_steps', 'iterations'],
      }),
    num_train_epochs: count
      .nullable()
      .default(null)
      .register(optionDocs, {
        about: 'Passes through the pictures, in place of `max_train_steps`.',
        mayChange: true,
        otherNames: ['epochs', 'num_epochs', 'max_train_epochs'],
      }),
    train_batch_size: count.default(1).register(optionDocs, {
      about: 'Pictures in a step. Memory and time of a step grow with it; larger batches learn more steadily.',
      usual: '1 to 8',
      source: "the example of diffusers' script; its default is 4",
      otherNames: ['batch_size', 'train_batch', 'micro_batch_size'],
    }),
    gradient_accumulation_steps: count.default(1).register(optionDocs, {
      about: 'Batches whose gradients are averaged into one step: the effect of a larger batch without its memory.',
      usual: '1 to 8',
      source: "diffusers' script",
      otherNames: ['gradient_accumulation', 'grad_accum', 'accumulation_steps'],
    }),
    gradient_checkpointing: z
      .boolean()
      .default(false)
      .register(optionDocs, {
        about:
          'Computes the blocks a second time in the backward pass and does not keep them: much less memory, a third more time.',
        source: "diffusers' script; NVlabs' configs have it on",
        mayChange: true,
        otherNames: ['grad_checkpointing', 'activation_checkpointing'],
      }),
    precision: z
      .enum(basePrecisions)
      .default('fp32')
      .register(optionDocs, {
        about:
          "What the frozen weights are kept and multiplied in, in training and in its samples: `fp32` is exact; `int8` has weights and activations in 8 bits, faster on a processor that multiplies them (VNNI and the like; docs/benchmarks.md has figures), with gradients that are a little off; `nf4` stores the weights in 4 bits and multiplies in fp32, for the least memory (QLoRA), a little slower than `fp32`. The adapter itself is always fp32. Weights in 8 and 4 bits are made once and kept in the cache: 2 bytes and 0.56 for each of the blocks' weights.",
        source: "ours: diffusers' script has `mixed_precision`",
        mayChange: true,
        otherNames: ['mixed_precision', 'dtype', 'weight_dtype', 'quantize', 'base_precision', 'load_in_4bit', 'qtype'],
        otherWords: {
          nf4: ['int4', 'uint4', 'fp4', 'q4', '4bit', 'bnb4', 'nf4-bnb', 'int4-quanto', 'nfloat_4', 'qlora'],
          int8: ['q8', '8bit', 'fp8', 'qfloat8', 'int8-quanto', 'fp8-quanto', 'int_8', 'int_w8a8'],
          fp32: ['no', 'no_change', 'float32', 'bf16', 'fp16', 'bfloat16', 'float16'],
        },
      }),
    optimizer: optimizerSection.prefault({ name: 'adamw' }).register(optionDocs, {
      about:
        "What updates the adapter: `adamw`, `prodigy` (finds its own learning rate), `came` (what Sana was trained with), `lion`, `adafactor` (least memory). A name, or a mapping with `name` and that optimizer's settings below.",
      expects: 'adamw, prodigy, came, lion, adafactor, or a mapping with name and settings',
      source: "diffusers' script",
      shorthand: 'name',
      otherNames: ['optimizer_type', 'optimiser'],
    }),
    learning_rate: z
      .union([auto, positive])
      .default('auto')
      .register(optionDocs, {
        about:
          'The learning rate after warm-up. Too high shows as burnt colours or a broken picture, too low as no change.',
        usual: "5e-5 to 4e-4 with adamw and came, 1 with prodigy, a fifth of adamw's with lion",
        defaultText: `\`auto\`: ${Object.entries(usualLearningRate)
          .map(([name, rate]) => `${rate} with ${name}`)
          .join(', ')}`,
        source: "diffusers' script and NVlabs' configs (1e-4); for prodigy and lion their papers",
        mayChange: true,
        otherNames: ['lr', 'unet_lr', 'transformer_lr'],
      }),
    lr_scheduler: z
      .enum(scheduleNames)
      .default('constant')
      .register(optionDocs, {
        about: "How the learning rate changes over the run: diffusers' schedules. `cosine` suits prodigy.",
        source: "diffusers' script and NVlabs' configs",
        otherNames: ['lr_schedule', 'scheduler', 'lr_scheduler_type', 'learning_rate_scheduler'],
      }),
    lr_warmup_steps: countFrom0.default(0).register(optionDocs, {
      about: 'Steps in which the rate rises from 0. `constant` and `piecewise_constant` have none.',
      usual: '0 to a tenth of the run',
      source: "the example of diffusers' script; its default of 500 is longer than many runs",
      otherNames: ['learning_rate_warmup_steps', 'warmup_steps', 'num_warmup_steps'],
    }),
    lr_num_cycles: count.default(1).register(optionDocs, {
      about: '`cosine_with_restarts`: how often it starts again.',
      source: "diffusers' script",
      otherNames: ['learning_rate_cycles', 'lr_scheduler_num_cycles'],
    }),
    lr_power: positive.default(1).register(optionDocs, {
      about: '`polynomial`: its exponent.',
      source: "diffusers' script",
      otherNames: ['lr_scheduler_power'],
    }),
    lr_end: positive.default(1e-7).register(optionDocs, {
      about: '`polynomial`: where it ends.',
      source: "diffusers' get_scheduler",
    }),
    lr_step_rules: z.string().min(1).nullable().default(null).register(optionDocs, {
      about: '`piecewise_constant`: factors with the steps that they end at, and a last one: "1:100,0.1:200,0.01".',
      expects: 'factors with the steps that they end at, and a last factor, such as "1:100,0.1:200,0.01"',
      source: "diffusers' get_scheduler (`step_rules`)",
    }),
    weighting_scheme: z
      .enum(timestepSamplings)
      .default('sana')
      .register(optionDocs, {
        about:
          "Which noise levels are trained: `sana` as the model itself was (logit-normal, then shifted by `flow_shift`); or one of diffusers' trainers: `none` (uniform), `logit_normal`, `mode`, `sigma_sqrt`, `cosmap` (uniform, with another weight of the loss).",
        source: "NVlabs' configs; diffusers' script has `none`",
        otherNames: ['timestep_sampling', 'timestep_type', 'timestep_distribution', 'flow_schedule'],
      }),
    logit_mean: z.number().default(0).register(optionDocs, {
      about: '`logit_normal`: mean of the normal.',
      source: "diffusers' script and NVlabs' configs",
    }),
    logit_std: positive.default(1).register(optionDocs, {
      about: '`logit_normal`: its standard deviation.',
      source: "diffusers' script and NVlabs' configs",
    }),
    mode_scale: z.number().default(1.29).register(optionDocs, {
      about: '`mode`: how far it departs from uniform; 0 is uniform.',
      source: "diffusers' script",
    }),
    flow_shift: z
      .union([auto, positive])
      .default('auto')
      .register(optionDocs, {
        about:
          'Moves training towards noise, where composition and shape are learned; 1 is no shift and learns texture more.',
        usual: '1 to 6',
        defaultText: '`auto`: 3; 4 for the 0.6B at 1024 pixels; 6 at 4096 pixels',
        source: "NVlabs' configs; diffusers' script trains with 1, whatever the model's scheduler says",
        otherNames: ['timestep_shift', 'discrete_flow_shift', 'flow_schedule_shift', 'shift'],
      }),
    max_grad_norm: positive
      .nullable()
      .default(0.1)
      .register(optionDocs, {
        about: 'Gradients longer than this are scaled down to it; null never does.',
        usual: '0.1 to 1',
        source: "NVlabs' configs (`gradient_clip`); diffusers' script has 1",
        otherNames: ['gradient_clip', 'clip_grad_norm', 'grad_clip', 'max_gradient_norm'],
      }),
    with_prior_preservation: z
      .boolean()
      .default(false)
      .register(optionDocs, {
        about:
          "DreamBooth's prior preservation (arXiv 2208.12242): pictures of the class that the model makes itself are trained along, so that other dogs do not turn into yours. A step takes twice as long. Needs `dataset.class_prompt`.",
        source: "diffusers' script",
        otherNames: ['prior_preservation', 'with_prior_reservation'],
      }),
    prior_loss_weight: z.number().min(0).default(1).register(optionDocs, {
      about: 'How much the class pictures count in the loss.',
      usual: '0.1 to 1',
      source: "diffusers' script",
    }),
    use_ema: z
      .boolean()
      .default(false)
      .register(optionDocs, {
        about: 'Keeps a moving average of the adapter, which samples and exports then use: steadier, a little behind.',
        source: "diffusers' trainers",
        otherNames: ['ema'],
      }),
    ema_decay: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.9999)
      .register(optionDocs, {
        about: 'Decay of the average. At step n it is at most (1 + n) / (10 + n), so that short runs are averaged too.',
        usual: '0.99 to 0.9999; a run should have several times 1 / (1 - decay) steps',
        source: "NVlabs' configs (`ema_rate`)",
        otherNames: ['ema_rate'],
      }),
    seed: countFrom0
      .max(2 ** 32 - 1)
      .default(0)
      .register(optionDocs, {
        about:
          'All randomness of training comes from it: the same config and seed make the same adapter, bit for bit on one machine.',
      }),
    checkpointing_steps: countFrom0.default(100).register(optionDocs, {
      about:
        'Saves all that resuming needs every so many steps; 0 only at the end and when the run is stopped (Ctrl-C saves too).',
      source: "ours: diffusers' script has 500, but steps on a CPU are long",
      mayChange: true,
      otherNames: ['save_every_n_steps', 'save_steps', 'save_every', 'checkpoint_every', 'save_model_steps'],
    }),
    checkpoints_total_limit: count
      .nullable()
      .default(3)
      .register(optionDocs, {
        about: 'How many checkpoints are kept; the oldest go first. null keeps all.',
        source: "ours: diffusers' script keeps all",
        mayChange: true,
        otherNames: ['save_total_limit', 'max_step_saves_to_keep', 'save_last_n_steps'],
      }),
    resume_from_checkpoint: z
      .string()
      .min(1)
      .default('auto')
      .register(optionDocs, {
        about:
          "`auto` goes on from the newest whole checkpoint of `run_dir` if there is one; `never` starts anew and refuses a folder that holds a run; or a checkpoint's folder. `--resume` on the command line says the same.",
        expects: 'auto, never, or the folder of a checkpoint',
        source: "diffusers' script has null and `latest`, which here are `never` and `auto`",
        path: 'input',
        words: ['auto', 'never'],
        mayChange: true,
        otherNames: ['resume', 'resume_from'],
      }),
    validation_steps: countFrom0.default(100).register(optionDocs, {
      about:
        'Every so many steps the loss on the held-out pictures (`dataset.validation_count`) is measured, always at the same noise; 0 never.',
      mayChange: true,
      otherNames: ['eval_steps', 'validation_every', 'eval_every'],
    }),
    validation_sigma_bins: count.max(20).default(4).register(optionDocs, {
      about:
        'In how many bands of noise level the validation loss is given: high ones are composition, low ones detail.',
      mayChange: true,
    }),
    max_nan_losses: countFrom0.default(0).register(optionDocs, {
      about:
        'How many steps with a loss or gradient that is not finite are skipped before the run stops, keeping the last good weights.',
      source: "ours: NVlabs' trainer stops after 20, and by then the cause is hard to find",
      mayChange: true,
    }),
  })
  .transform((train) => ({
    ...train,
    max_train_steps: train.num_train_epochs === null ? (train.max_train_steps ?? 500) : train.max_train_steps,
    learning_rate: train.learning_rate === 'auto' ? usualLearningRate[train.optimizer.name] : train.learning_rate,
  }))
  .register(optionDocs, { about: "The training loop. Names are those of diffusers' scripts where they have one." });
