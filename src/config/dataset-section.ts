import { z } from 'zod';

import { auto, count, countFrom0, optionDocs, share, side } from './option.ts';

/** A text that is not empty; a new schema each time, for documentation belongs to one. */
const text = () => z.string().min(1);
// Below 64 pixels no shape but the square is left.
const trainedSide = side.min(64);

const path = text().register(optionDocs, {
  about:
    'The folder of the pictures, with its sub-folders: jpeg, png, webp, avif, tiff, and the first frame of a gif. What cannot be used is listed, never dropped in silence.',
  expects: 'a folder of pictures',
  path: 'input',
  otherNames: ['instance_data_dir', 'image_dir', 'train_data_dir', 'folder_path', 'data_dir', 'dataset_name', 'folder'],
});

/** What may differ between the sources of a dataset. */
const sourceOptions = {
  name: text().nullable().default(null).register(optionDocs, {
    about: 'What reports call this source.',
    defaultText: "the folder's own name, numbered where two are the same",
  }),
  files: z
    .array(text())
    .min(1)
    .nullable()
    .default(null)
    .register(optionDocs, {
      about: 'Patterns of the files to take, from the folder; `!` in front leaves out: `["**/*.jpg", "!drafts/**"]`.',
      defaultText: 'all',
      otherNames: ['include', 'glob', 'pattern'],
    }),
  captions: z
    .enum(['auto', 'table', 'txt', 'filename', 'instance_prompt'])
    .default('auto')
    .register(optionDocs, {
      about:
        'Where captions come from: `table` (`caption_table`), `txt` (a file beside each picture, with the same name), `filename`, or `instance_prompt` (one for all). A picture may have several captions; one is drawn for each use.',
      defaultText: '`auto`: a table in the folder, else txt, else `instance_prompt`',
      otherNames: ['caption_strategy', 'caption_source', 'captions_from'],
    }),
  caption_table: text()
    .nullable()
    .default(null)
    .register(optionDocs, {
      about:
        'A .jsonl, .csv or .tsv file of captions, from the folder of the pictures: `file_name` (or `picture`) and `text`, one or several a picture.',
      defaultText: 'metadata or captions .jsonl, .csv or .tsv, whichever is there',
      source: "Hugging Face's imagefolder",
      otherNames: ['caption_column', 'image_column', 'metadata_file', 'in_json'],
    }),
  instance_prompt: text()
    .nullable()
    .default(null)
    .register(optionDocs, {
      about: 'The caption of pictures that have none of their own: "a photo of sks dog".',
      source: "diffusers' script",
      otherNames: ['prompt'],
    }),
  trigger_word: text()
    .nullable()
    .default(null)
    .register(optionDocs, {
      about:
        'A rare word for the subject or style. It is put before captions without it, or where a caption says `[trigger]`, and is named in the model card.',
      usual: 'a word without a meaning of its own, such as sks or ohwx',
      otherNames: ['trigger', 'token', 'instance_token', 'class_tokens'],
    }),
  caption_prefix: z.string().default('').register(optionDocs, { about: 'Put before every caption, as it is.' }),
  caption_suffix: z.string().default('').register(optionDocs, { about: 'Put after every caption, as it is.' }),
  repeats: count
    .max(1_000_000)
    .default(1)
    .register(optionDocs, {
      about:
        'How often a picture comes in an epoch. It balances sources: 10 for five pictures of a subject beside 50 of a style.',
      source: "diffusers' script",
      otherNames: ['num_repeats', 'balancing', 'repeat'],
    }),
  weight: z
    .number()
    .min(0)
    .max(1000)
    .default(1)
    .register(optionDocs, {
      about: 'How much a picture of this source counts in the loss.',
      usual: '0.1 to 1',
      otherNames: ['loss_weight'],
    }),
  class_prompt: z
    .union([text(), z.array(text()).min(1)])
    .nullable()
    .default(null)
    .register(optionDocs, {
      about:
        'Prior preservation: what the class pictures show, which is `instance_prompt` without the trigger word: "a photo of dog". Several, of which each gets its share of the pictures, keep more of the model: "a photo of a brown dog", "a photo of a gray cat". Class pictures of your own keep the captions of their .txt files; those without have the first prompt. Needs `train.with_prior_preservation`.',
      usual:
        'where one prompt makes the subject hard to learn, several that name what the subject is not, such as colours',
      expects: 'a text, or a list of texts',
      source: "diffusers' script has one",
      otherNames: ['reg_prompt'],
    }),
  class_data_dir: text()
    .nullable()
    .default(null)
    .register(optionDocs, {
      about: 'Where the class pictures are; the model adds what is missing.',
      defaultText: 'a folder of the cache, shared by runs with the same model and `class_prompt`',
      source: "diffusers' script",
      path: 'output',
      otherNames: ['reg_data_dir'],
    }),
  num_class_images: count.default(100).register(optionDocs, {
    about: 'How many class pictures there are to be.',
    usual: '20 times the pictures of the subject; each takes as long as a sample',
    source: "diffusers' script",
  }),
  resolution: z
    .union([auto, trainedSide, z.array(trainedSide).min(1)])
    .default('auto')
    .register(optionDocs, {
      about:
        'Side in pixels of the square that pictures have the area of. Several, `[512, 1024]`, use every picture at each that it is large enough for. Half the side is a quarter of the time and memory.',
      expects: 'auto, a multiple of 32 from 64 such as 512 or 1024, or a list of those',
      defaultText: "`auto`: the model's own",
      source: "diffusers' script has 512",
      otherNames: ['image_size', 'size', 'width', 'height', 'resolutions'],
    }),
  aspect_ratio_buckets: z
    .boolean()
    .default(true)
    .register(optionDocs, {
      about:
        "Pictures keep their shape as nearly as Sana's table of sizes allows, and batches are made of one size; `false` crops all to squares.",
      source: "NVlabs' configs (`multi_scale`, `aspect_ratio_type`)",
      otherNames: ['enable_bucket', 'aspect_ratio_bucketing', 'use_resolution_binning', 'multi_scale', 'crop_aspect'],
    }),
  center_crop: z
    .boolean()
    .default(true)
    .register(optionDocs, {
      about:
        'What does not fit is cut from both sides equally; `false` cuts at random, another way in each epoch, so that each epoch is encoded anew.',
      source: "NVlabs' data loader; diffusers' script crops at random",
      otherNames: ['crop_style', 'random_crop'],
    }),
  random_flip: z
    .boolean()
    .default(false)
    .register(optionDocs, {
      about: 'Mirrors half of the uses of a picture. Not for faces, writing, or anything with a left and a right.',
      source: "diffusers' script",
      otherNames: ['flip', 'flip_aug', 'horizontal_flip', 'hflip'],
    }),
  minimum_image_size: count.default(64).register(optionDocs, {
    about: 'Pictures with a shorter side below this many pixels are left out.',
    otherNames: ['min_size', 'min_bucket_reso'],
  }),
  duplicates: z.enum(['keep', 'skip']).default('keep').register(optionDocs, {
    about: 'Whether pictures that are copies of others are used too. They are listed, and so are near copies.',
  }),
  background_color: z
    .string()
    .regex(/^#[\da-fA-F]{6}$/)
    .default('#ffffff')
    .register(optionDocs, {
      about: 'What is seen through transparent pictures.',
      expects: 'a colour such as "#ffffff", in quotes',
      otherNames: ['background_colour'],
    }),
  mask: text()
    .nullable()
    .default(null)
    .register(optionDocs, {
      about:
        "Masked loss: `alpha` (the picture's own transparency), or a folder of masks with the pictures' names; white is trained.",
      expects: 'alpha, or a folder of masks',
      path: 'input',
      words: ['alpha'],
      otherNames: ['masked_training', 'mask_path', 'conditioning_data_dir', 'masked_loss'],
    }),
  unmasked_weight: share.default(0.1).register(optionDocs, {
    about: 'How much the black of a mask counts in the loss; 0 lets the background become anything.',
    usual: '0.01 to 0.2',
    source: 'OneTrainer',
  }),
  shuffle_tags: z
    .boolean()
    .default(false)
    .register(optionDocs, {
      about:
        'Puts what stands between the commas of a caption in another order at each use: for tags such as "sks dog, sitting, studio", not for sentences.',
      otherNames: ['shuffle_caption', 'enable_tag_shuffling', 'shuffle_tokens'],
    }),
  keep_tags: countFrom0.default(1).register(optionDocs, {
    about: 'How many tags at the beginning keep their place.',
    otherNames: ['keep_tokens', 'keep_tags_count'],
  }),
  caption_dropout: share.default(0.1).register(optionDocs, {
    about:
      'The share of uses in which the caption is replaced by nothing, so that guidance has something to compare with.',
    usual: '0 to 0.2',
    source: "NVlabs' configs (`class_dropout_prob`); diffusers' script has none",
    otherNames: ['caption_dropout_rate', 'caption_dropout_probability', 'caption_dropout_prob', 'class_dropout_prob'],
  }),
};

type SourceOptions = typeof sourceOptions;
type SourceOptionName = keyof SourceOptions;

/** The names of the options that every source may have for itself. */
export const sourceOptionNames = Object.keys(sourceOptions) as readonly SourceOptionName[]; // they are exactly its keys

type Undefaulted = { [K in SourceOptionName]: z.ZodExactOptional<ReturnType<SourceOptions[K]['unwrap']>> };

/** The same options without their defaults: what a source does not say it takes from the section. */
function withoutDefaults(options: SourceOptions): Undefaulted {
  const entries = Object.entries(options).map(([name, schema]) => {
    const inner: z.ZodType = schema.unwrap();
    const { defaultText: _, ...docs } = optionDocs.get(schema) ?? { about: '' };
    return [name, z.exactOptional(inner).register(optionDocs, docs)] as const;
  });
  return Object.fromEntries(entries) as unknown as Undefaulted; // fromEntries forgets which type belongs to which name
}

const source = z.strictObject({ path, ...withoutDefaults(sourceOptions) }).register(optionDocs, {
  about: 'One source of pictures.',
  shorthand: 'path',
});

/** A section's options in two: those that its sources take over, and its own. */
function divide<T extends Record<SourceOptionName, unknown>>(
  options: T,
): { readonly shared: Pick<T, SourceOptionName>; readonly own: Omit<T, SourceOptionName> } {
  const isShared = ([name]: readonly [string, unknown]): boolean => name in sourceOptions;
  const entries = Object.entries(options);
  return {
    shared: Object.fromEntries(entries.filter(isShared)) as Pick<T, SourceOptionName>,
    own: Object.fromEntries(entries.filter((entry) => !isShared(entry))) as Omit<T, SourceOptionName>,
  };
}

/** `dataset`: pictures, captions, sizes, the cache. */
export const datasetSection = z
  .strictObject({
    path: path.exactOptional().register(optionDocs, {
      ...(optionDocs.get(path) ?? { about: '' }),
      defaultText: '*required*, or `sources`',
    }),
    sources: z
      .array(source)
      .min(1)
      .exactOptional()
      .register(optionDocs, {
        about:
          'Several sources in place of `path`; each has a `path` and any of the options down to `caption_dropout` for itself; what it does not say it takes from `dataset`.',
        expects: 'a list of sources, each with a path',
        otherNames: ['datasets', 'concepts', 'subsets', 'data_backends'],
      }),
    ...sourceOptions,
    validation_count: countFrom0.default(0).register(optionDocs, {
      about: 'How many pictures are held out for the validation loss and not trained, chosen by the seed.',
      usual: '0, or a tenth of 30 pictures and more',
      otherNames: ['validation_split', 'val_split', 'eval_split', 'num_val_images'],
    }),
    cache_dir: text()
      .nullable()
      .default(null)
      .register(optionDocs, {
        about: 'Where latents and text embeddings are kept, keyed by all that they depend on; runs share it.',
        defaultText: "sana-train in the user's cache folder (`~/.cache/sana-train` on Linux)",
        path: 'output',
        mayChange: true,
        otherNames: ['cache_dir_vae', 'cache_directory'],
      }),
  })
  .transform(({ path, sources, ...options }, context) => {
    if ((path === undefined) === (sources === undefined)) {
      context.addIssue({
        code: 'custom',
        input: path,
        message:
          path === undefined
            ? 'dataset.path is missing; name the folder of your pictures'
            : 'dataset has path and sources; move the path into a source of its own',
      });
    }
    const { shared, own } = divide(options);
    const list = sources ?? (path === undefined ? [] : [{ path }]);
    return {
      sources: list.map((source) => {
        const { path, resolution, ...rest } = { ...shared, ...source };
        return { path, ...rest, resolution: typeof resolution === 'number' ? [resolution] : resolution };
      }),
      ...own,
    };
  })
  .register(optionDocs, {
    about: 'What is learned from. `dataset: FOLDER` alone is short for `dataset: { path: FOLDER }`.',
    shorthand: 'path',
  });
