import { z } from 'zod';

import { solverNames } from '../../samplers/solver.ts';
import { auto, count, countFrom0, optionDocs, positive, share, side } from './option.ts';

const seed = countFrom0.max(2 ** 32 - 1);
const size = z.union([auto, side]);

/** What a prompt may say for itself; the rest it takes from the section. */
const prompt = z
  .strictObject({
    prompt: z.string().min(1).register(optionDocs, { about: 'What the picture shows.' }),
    negative_prompt: z.string().exactOptional(),
    seed: seed.exactOptional(),
    width: size.exactOptional(),
    height: size.exactOptional(),
    guidance_scale: z.number().min(1).max(100).exactOptional(),
    num_inference_steps: count.max(1000).exactOptional(),
  })
  .register(optionDocs, { about: 'A prompt with settings of its own.', shorthand: 'prompt' });

/** `sample`: pictures made while it trains. */
export const sampleSection = z
  .strictObject({
    every: countFrom0.default(100).register(optionDocs, {
      about: 'Pictures are made every so many steps, and at the end; 0 never.',
      mayChange: true,
      otherNames: ['sample_every', 'sample_every_n_steps', 'validation_epochs', 'sample_steps', 'sample_after'],
    }),
    at_start: z
      .boolean()
      .default(true)
      .register(optionDocs, {
        about: 'Makes them before the first step too, to compare with.',
        mayChange: true,
        otherNames: ['sample_at_first', 'sample_first', 'skip_first_sample'],
      }),
    prompts: z
      .array(prompt)
      .default([])
      .register(optionDocs, {
        about:
          'The prompts: texts, or mappings with `prompt` and any of `negative_prompt`, `seed`, `width`, `height`, `guidance_scale`, `num_inference_steps`.',
        expects: 'a list of prompts',
        defaultText: 'the `instance_prompt` of each source, or else a caption of each',
        mayChange: true,
        otherNames: ['validation_prompt', 'validation_prompts', 'sample_prompts', 'prompt', 'samples'],
      }),
    negative_prompt: z
      .string()
      .default('')
      .register(optionDocs, {
        about: 'What guidance leads away from.',
        source: 'diffusers',
        mayChange: true,
        otherNames: ['validation_negative_prompt', 'neg'],
      }),
    num_images_per_prompt: count
      .max(100)
      .default(1)
      .register(optionDocs, {
        about: 'Pictures of each prompt; their seeds count up from `seed`.',
        source: "diffusers' pipeline; its script has 4",
        mayChange: true,
        otherNames: ['num_validation_images', 'num_samples'],
      }),
    seed: seed.default(0).register(optionDocs, {
      about: 'The same at every step, so that only the adapter differs between pictures.',
      mayChange: true,
      otherNames: ['validation_seed', 'sample_seed'],
    }),
    width: size.default('auto').register(optionDocs, {
      about: 'Width in pixels, a multiple of 32.',
      defaultText: "`auto`: the first source's `resolution`",
      mayChange: true,
      otherNames: ['validation_resolution'],
    }),
    height: size.default('auto').register(optionDocs, {
      about: 'Height in pixels, a multiple of 32.',
      defaultText: "`auto`: the first source's `resolution`",
      mayChange: true,
    }),
    num_inference_steps: count
      .max(1000)
      .default(20)
      .register(optionDocs, {
        about: 'Steps of the solver: the time of a picture is proportional to them.',
        usual: '14 with flow_unipc_log_snr, 14 to 20 with flow_dpm_solver, 28 to 50 with flow_euler',
        source: "diffusers' SanaPipeline",
        mayChange: true,
        otherNames: ['sample_steps', 'diffusion_steps', 'validation_num_inference_steps', 'steps'],
      }),
    guidance_scale: z
      .number()
      .min(1)
      .max(100)
      .default(4.5)
      .register(optionDocs, {
        about: 'How strongly the prompt is followed; 1 is no guidance and half the time, much more burns the colours.',
        usual: '3 to 6',
        source: "diffusers' SanaPipeline and NVlabs",
        mayChange: true,
        otherNames: ['cfg', 'cfg_scale', 'validation_guidance'],
      }),
    guidance_interval: z.tuple([share, share]).nullable().default(null).register(optionDocs, {
      about:
        'Noise levels between which guidance acts, `[0.1, 0.9]`: outside them a step takes half the time. null is everywhere.',
      expects: 'two noise levels, the lower first, such as [0.1, 0.9], or null',
      source: 'NVlabs',
      mayChange: true,
    }),
    solver: z
      .enum(['auto', ...solverNames])
      .default('auto')
      .register(optionDocs, {
        about:
          '`flow_dpm_solver` is what Sana is sampled with; `flow_euler` is simpler and needs twice the steps; `flow_unipc` (arXiv 2302.04867) corrects each step by the next prediction, and `flow_unipc_log_snr` with noise levels nearly even in log-SNR needs the fewest.',
        defaultText: "`auto`: what the model's scheduler_config.json says",
        mayChange: true,
        otherNames: ['scheduler', 'noise_scheduler', 'sampler', 'vis_sampler', 'sample_sampler'],
      }),
    flow_shift: z.union([auto, positive]).default('auto').register(optionDocs, {
      about: 'The shift of the noise levels in sampling.',
      defaultText: "`auto`: what the model's scheduler_config.json says",
      mayChange: true,
    }),
    clip_model: z
      .string()
      .min(1)
      .default('auto')
      .register(optionDocs, {
        about:
          'Measures each sample with this CLIP, a Hugging Face id or a folder, or `none`: CLIP-I (likeness to the training pictures) and CLIP-T (fit to the prompt). Samples of prompts without the `trigger_word` are compared with step 0, which shows what training changes beside the subject; where no prompt is such a one, the first `class_prompt` of each source is sampled too.',
        expects: 'auto, none, a Hugging Face id or a folder',
        usual:
          'Xenova/clip-vit-base-patch32 (a download of 0.6 GB), or Xenova/clip-vit-large-patch14 (1.7 GB) for finer differences; it is in memory, in a process of its own, only while it measures',
        defaultText: '`auto`: the bundled one for sana-pico, `none` for other models',
        source: "DreamBooth's paper, section 4.2",
        path: 'model',
        words: ['auto', 'none'],
        mayChange: true,
      }),
  })
  .transform((sample) => {
    const { negative_prompt, seed, width, height, guidance_scale, num_inference_steps } = sample;
    const common = { negative_prompt, seed, width, height, guidance_scale, num_inference_steps };
    return { ...sample, prompts: sample.prompts.map(({ prompt, ...own }) => ({ prompt, ...common, ...own })) };
  })
  .register(optionDocs, { about: 'Pictures that are made while it trains, with the sampler of `sana-train sample`.' });
