import { z } from 'zod';

import { textPrecisions } from '../models/precisions.ts';
import { auto, count, optionDocs } from './option.ts';

/** `model`: what is trained and what it runs on. */
export const modelSection = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .register(optionDocs, {
        about:
          'The base model: `sana-pico` (comes with this package), the id of a Hugging Face repository, or a folder, in diffusers layout.',
        expects: 'sana-pico, a Hugging Face id such as Efficient-Large-Model/Sana_600M_512px_diffusers, or a folder',
        path: 'model',
        otherNames: ['pretrained_model_name_or_path', 'base_model', 'base_model_name', 'name_or_path', 'name'],
      }),
    revision: z.string().min(1).nullable().default(null).register(optionDocs, {
      about: 'The commit, branch or tag of a Hugging Face repository; a commit makes a run repeatable for ever.',
      defaultText: 'the newest of `main`',
      source: 'diffusers',
    }),
    variant: z.string().min(1).nullable().default(null).register(optionDocs, {
      about:
        'Which of several sets of weight files to take: `fp16` reads `diffusion_pytorch_model.fp16.safetensors` and downloads half as much.',
      defaultText: 'the files without a variant',
      source: 'diffusers',
    }),
    vae_tiling: z
      .union([auto, z.boolean()])
      .default('auto')
      .register(optionDocs, {
        about:
          'Whether the autoencoder works through a large picture in overlapping tiles: less memory, slower, and faint seams are possible.',
        expects: 'auto, true or false',
        defaultText: '`auto`: where a side is above 1024 pixels',
        source: 'diffusers has it off; 4096 pixels do not fit without it',
        otherNames: ['enable_vae_tiling'],
      }),
    complex_human_instruction: z
      .union([z.enum(['auto', 'diffusers', 'nvlabs', 'none']), z.array(z.string()).min(1)])
      .default('auto')
      .register(optionDocs, {
        about:
          "The text before every caption and prompt (CHI), with which Sana was trained: `diffusers`' wording, NVlabs' (another kind of quotes, so other tokens), `none`, or your own lines. It is used in training and in samples alike.",
        expects: 'auto, diffusers, nvlabs, none, or a list of lines',
        defaultText: '`auto`: `diffusers`',
        source:
          "NVlabs' configs (`chi_prompt`). diffusers' script trains without it, though its pipeline samples with it",
      }),
    max_sequence_length: z
      .union([auto, z.int().min(2).max(2048)])
      .default('auto')
      .register(optionDocs, {
        about: 'Tokens of a caption that the model sees; what is longer is cut off, and reported.',
        defaultText: '`auto`: 300',
        source: "NVlabs' configs (`model_max_length`) and diffusers",
        otherNames: ['max_token_length', 'tokenizer_max_length'],
      }),
    text_encoder_precision: z
      .enum(textPrecisions)
      .default('fp32')
      .register(optionDocs, {
        about:
          "What the text encoder's products are computed in: `fp32` is exact; `int8` has weights and activations in 8 bits, several times as fast where there are many captions, and embeddings that are a little off (docs/benchmarks.md has figures). Its weights in 8 bits are made once and kept in the cache, a byte for each: 2 GB for Gemma-2-2B. Embeddings of either are cached apart.",
        source: 'ours',
        otherNames: ['text_encoder_dtype', 'te_dtype', 'quantize_te', 'qtype_te'],
        otherWords: {
          int8: ['q8', '8bit', 'fp8', 'qfloat8', 'int8-quanto', 'fp8-quanto', 'int_8', 'int_w8a8'],
          fp32: ['no', 'no_change', 'float32', 'bf16', 'fp16', 'bfloat16', 'float16'],
        },
      }),
    engine: z
      .enum(['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml', 'tfjs'])
      .default('cpu')
      .register(optionDocs, {
        about:
          'What computes: `cpu` everywhere; `webgpu` on any GPU, `cuda` on NVIDIA under Linux, `dml` (DirectML) under Windows, `coreml` on a Mac, all through onnxruntime; `tfjs` through a TensorFlow.js that you install yourself; `auto` tries cuda, dml, webgpu and cpu and takes the fastest. `sana-train doctor` says what this machine has.',
        mayChange: true,
        otherNames: ['provider', 'device', 'gpu', 'accelerator'],
      }),
    engine_failure: z.enum(['stop', 'cpu']).default('stop').register(optionDocs, {
      about:
        'What to do when the device of another engine than `cpu` runs out of memory or is lost while training: the run is saved, and `stop` ends it, `cpu` goes on with it on the CPU.',
      mayChange: true,
    }),
    threads: z
      .union([auto, count])
      .default('auto')
      .register(optionDocs, {
        about: 'Threads of a matrix product. Another number may change the last bit of a result.',
        defaultText: '`auto`: one a core',
        mayChange: true,
        otherNames: ['num_cpu_threads_per_process'],
      }),
  })
  .register(optionDocs, {
    about: 'The base model and what computes. `model: NAME` alone is short for `model: { path: NAME }`.',
    shorthand: 'path',
  });
