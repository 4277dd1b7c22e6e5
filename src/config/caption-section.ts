import { z } from 'zod';

import { auto, count, countFrom0, optionDocs, positive } from './option.ts';

/** A text that is not empty; a new schema each time, for documentation belongs to one. */
const text = () => z.string().min(1);

/** What captioners of every kind have. */
const common = {
  name: z
    .string()
    .regex(/^[\w.-]+$/)
    .exactOptional()
    .register(optionDocs, {
      about: 'What this captioner is called in captions.jsonl and in reports.',
      expects: 'letters, digits, dots, hyphens and underscores',
      defaultText: 'the end of `model`, or `type`',
    }),
  prefix: z.string().default('').register(optionDocs, {
    about: 'Put before every caption; `[trigger]` is the trigger word: "a photo of [trigger], ".',
  }),
  suffix: z.string().default('').register(optionDocs, { about: 'Put after every caption.' }),
  remove: z.array(text()).default([]).register(optionDocs, {
    about: 'Texts to take out of captions, beside boiler-plate such as "The image shows".',
  }),
  max_words: count.nullable().default(null).register(optionDocs, {
    about: 'Captions are cut after the last whole sentence, or else word, within so many words.',
  }),
};

const generation = {
  prompt: text().exactOptional().register(optionDocs, {
    about: 'What the model is asked; for Florence-2 a task such as `<MORE_DETAILED_CAPTION>`.',
    defaultText: 'the request for a description that suits the model',
  }),
  max_new_tokens: count.default(256).register(optionDocs, { about: 'The length of a caption at most, in tokens.' }),
};

const transformers = z.strictObject({
  type: z.literal('transformers').register(optionDocs, {
    about:
      'A vision-language model that transformers.js runs: Florence-2, SmolVLM and other chat models, Moondream, ViT-GPT2.',
  }),
  model: text().register(optionDocs, {
    about:
      'A Hugging Face id such as `onnx-community/Florence-2-base-ft`, a folder, or a bundled captioner for sana-pico: `caption-pico-brief`, `caption-pico-detailed`.',
    path: 'model',
  }),
  dtype: z
    .enum(['auto', 'fp32', 'fp16', 'int8', 'int4'])
    .default('auto')
    .register(optionDocs, { about: 'Precision of its weights.', defaultText: '`auto`: the smallest that there is' }),
  ...generation,
  ...common,
});

const openai = z.strictObject({
  type: z.literal('openai').register(optionDocs, {
    about: "A server with OpenAI's interface: Ollama, vLLM, LM Studio, or a paid one. Your pictures are sent to it.",
  }),
  base_url: z
    .url({ protocol: /^https?$/ })
    .default('http://localhost:11434/v1')
    .register(optionDocs, {
      about: 'Its address.',
      expects: 'an address such as http://localhost:11434/v1',
      source: 'Ollama',
    }),
  model: text().register(optionDocs, { about: "The model's name there." }),
  api_key_env: z
    .string()
    .regex(/^[A-Za-z_]\w*$/)
    .default('OPENAI_API_KEY')
    .register(optionDocs, {
      about: 'The environment variable that holds the key; the key itself is never written into a config.',
      expects: 'the name of an environment variable',
    }),
  temperature: z
    .number()
    .min(0)
    .max(2)
    .default(0)
    .register(optionDocs, { about: '0 gives the same caption every time.' }),
  max_image_size: count
    .default(1024)
    .register(optionDocs, { about: 'Pictures are made this small, in pixels, before they are sent.' }),
  max_concurrent_requests: count.max(256).default(4).register(optionDocs, { about: 'Requests at once.' }),
  timeout_seconds: positive
    .max(86400)
    .default(120)
    .register(optionDocs, { about: 'A request that takes longer is tried again.' }),
  max_retries: countFrom0.max(100).default(5).register(optionDocs, {
    about: 'How often a request is tried again, with longer and longer waits, before the picture is reported.',
  }),
  ...generation,
  ...common,
});

const existing = z.strictObject({
  type: z.literal('existing').register(optionDocs, {
    about:
      "The captions that the pictures have already, also in files of NVlabs' layout, as one more source; without it they are not used.",
  }),
  ...common,
});

const template = z.strictObject({
  type: z.literal('template').register(optionDocs, { about: 'The same text for every picture.' }),
  template: text().register(optionDocs, {
    about:
      'The text; `[trigger]` is the trigger word and `[filename]` the name of the picture: "a photo of [trigger]".',
  }),
  ...common,
});

/** `caption`: captions by models, and the choice among them. */
export const captionSection = z
  .strictObject({
    captioners: z
      .array(z.discriminatedUnion('type', [transformers, openai, existing, template]))
      .default([])
      .register(optionDocs, {
        about:
          'Who captions: any number of captioners, each a mapping with `type` and its settings below. Every picture gets a caption by each. None leaves the captions as they are.',
        expects: 'a list of captioners, each with a type: transformers, openai, existing or template',
        defaultText: 'none',
        otherNames: ['captioner', 'caption_model', 'external_caption_suffixes'],
      }),
    clip_model: z
      .string()
      .min(1)
      .default('auto')
      .register(optionDocs, {
        about: 'The CLIP that rates captions, a Hugging Face id or a folder, or `none`.',
        expects: 'auto, none, a Hugging Face id or a folder',
        defaultText: '`auto`: Xenova/clip-vit-large-patch14, and the bundled one for sana-pico',
        source: "the paper's CLIPScore (ViT-L/14)",
        path: 'model',
        words: ['auto', 'none'],
      }),
    clip_window: z.enum(['best', 'truncate']).default('best').register(optionDocs, {
      about: 'CLIP reads 77 tokens: rate the `best` window of a longer caption, or its beginning.',
    }),
    selection: z
      .enum(['clip_score_power', 'softmax', 'best', 'uniform', 'first'])
      .default('clip_score_power')
      .register(optionDocs, {
        about:
          "How one caption is drawn for each use of a picture: `clip_score_power` (NVlabs' code: scores from `clip_thr`, weighted by score^(1/temperature)), `softmax` (the paper's section 3.3: exp(score/temperature), much sharper), `best`, `uniform`, `first`.",
        source: "NVlabs' code",
        otherNames: ['caption_selection_type'],
      }),
    clip_thr: z.number().min(0).max(100).default(25).register(optionDocs, {
      about: '`clip_score_power`: captions with a lower score are not drawn, unless none has it.',
      usual: '20 to 30',
      source: "NVlabs' configs",
    }),
    clip_thr_temperature: positive.default(0.1).register(optionDocs, {
      about: 'Smaller prefers the best caption more.',
      usual: '0.1 to 1',
      source: "NVlabs' configs",
      otherNames: ['temperature'],
    }),
    min_score: z.number().min(0).max(100).nullable().default(null).register(optionDocs, {
      about: 'Pictures whose best caption scores lower are reported, or left out, as `below_min_score` says.',
    }),
    below_min_score: z.enum(['warn', 'skip']).default('warn').register(optionDocs, {
      about: 'What is done with pictures below `min_score`.',
    }),
    remove_boilerplate: z.boolean().default(true).register(optionDocs, {
      about: 'Takes "The image shows" and the like, and repetitions, out of captions.',
    }),
    output: z
      .union([auto, text()])
      .default('auto')
      .register(optionDocs, {
        about: 'The file of all captions with their scores; what it has already is not made again.',
        expects: 'auto, or a .jsonl file',
        defaultText: "`auto`: captions.jsonl in `dataset.cache_dir`, by the pictures' content",
        path: 'output',
        words: ['auto'],
      }),
    nvlabs_files: z.boolean().default(false).register(optionDocs, {
      about: "Also writes `KEY_<vlm>.json` and `KEY_<vlm>_clip_score.json` beside the pictures, for NVlabs' trainer.",
    }),
    write_txt: z.enum(['never', 'missing', 'overwrite']).default('never').register(optionDocs, {
      about: 'Also writes the best caption into a .txt beside each picture: where there is none, or over your own.',
    }),
  })
  .register(optionDocs, {
    about: 'Captions by vision-language models, rated by CLIPScore; also `sana-train caption CONFIG`.',
  });
