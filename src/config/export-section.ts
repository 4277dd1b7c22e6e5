import { z } from 'zod';

import { exportFormats, filePrecisions } from '../export/format-names.ts';
import { auto, count, optionDocs, positive } from './option.ts';

/** owner/name of a repository on the Hugging Face hub. */
export const repositoryName = /^[\w][\w.-]*\/[\w][\w.-]*$/;

/** `export`: the files at the end of a run. */
export const exportSection = z
  .strictObject({
    formats: z
      .union([auto, z.array(z.enum(exportFormats))])
      .default('auto')
      .register(optionDocs, {
        about:
          '`diffusers` (also SD.Next, OneTrainer, SimpleTuner), `comfyui` (names and fused layers as ComfyUI wants them), `kohya`, `lycoris` (also SimpleTuner), `merged` (the whole model with the adapter in it: as large as the model). Each is loaded back and compared before the run says done.',
        expects: 'auto, or a list of diffusers, comfyui, kohya, lycoris, merged',
        defaultText: '`auto`: `diffusers`; `lycoris` where a LoKr or LoHa is trained',
        mayChange: true,
        otherNames: ['format', 'save_model_as', 'output_model_format'],
      }),
    dtype: z
      .enum(filePrecisions)
      .default('fp32')
      .register(optionDocs, {
        about:
          'Precision of the files; fp32 loses nothing, the others halve them (`merged` too: a model of fp16 files becomes twice as large in fp32).',
        source: "what diffusers' script trains LoRA weights in",
        mayChange: true,
        otherNames: ['save_precision', 'output_dtype', 'save_dtype', 'upcast_before_saving'],
      }),
    scale: positive.default(1).register(optionDocs, {
      about: 'Multiplies the effect of the adapter.',
      mayChange: true,
    }),
    rank: count.nullable().default(null).register(optionDocs, {
      about: 'Resizes the adapter to a lower rank by SVD, in all files, and says how much is lost.',
      mayChange: true,
    }),
    fold_alpha: z.boolean().default(false).register(optionDocs, {
      about: '`diffusers`: multiplies alpha / rank into the weights, for diffusers before 0.34, which ignores it.',
      mayChange: true,
    }),
    merged_layout: z.enum(['diffusers', 'native']).default('diffusers').register(optionDocs, {
      about: "`merged`: a folder for diffusers, or one file with NVlabs' names for ComfyUI.",
      mayChange: true,
    }),
    output: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .register(optionDocs, {
        about: 'The folder that the files go to.',
        defaultText: '`adapter` in `run_dir`',
        path: 'output',
        mayChange: true,
        otherNames: ['output_name', 'output_model_destination'],
      }),
    title: z.string().min(1).nullable().default(null).register(optionDocs, {
      about: "The name of the adapter in the model card and in the files' metadata.",
      defaultText: 'the name of `run_dir`',
      mayChange: true,
    }),
    author: z.string().min(1).nullable().default(null).register(optionDocs, {
      about: 'Whose adapter it is, for the model card and the metadata.',
      mayChange: true,
    }),
    license: z.string().min(1).nullable().default(null).register(optionDocs, {
      about: "The licence of the adapter, for the model card and the metadata; the base model's applies as well.",
      mayChange: true,
    }),
    push_to_hub: z
      .string()
      .regex(repositoryName)
      .nullable()
      .default(null)
      .register(optionDocs, {
        about:
          'Pushes the files, the model card and its pictures to this repository of the Hugging Face hub, which is made if it is not there. The token comes from `HF_TOKEN`, or from `hf auth login`. A run that cannot push is done all the same, and says how to push later (`sana-train export RUN --push owner/name`).',
        expects: 'a name such as owner/name',
        mayChange: true,
        otherNames: ['hub_model_id', 'push_to_hub_id', 'hub_repo_id'],
      }),
    hub_private: z
      .boolean()
      .default(false)
      .register(optionDocs, {
        about:
          'Makes that repository private when it is made; otherwise it is as new repositories of the account are: public, for most.',
        mayChange: true,
        otherNames: ['hub_private_repo'],
      }),
  })
  .register(optionDocs, { about: 'What is written at the end of a run, and by `sana-train export RUN`.' });
