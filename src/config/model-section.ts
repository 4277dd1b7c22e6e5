import { z } from 'zod';

import { auto, count, optionDocs } from './option.ts';

/** `model`: what is trained, in which precision, and what it runs on. */
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
    transformer_dtype: z
      .enum(['auto', 'fp32', 'bf16', 'fp16', 'int8', 'int4'])
      .default('auto')
      .register(optionDocs, {
        about:
          "How the frozen transformer's weights are held: `fp32` is exact, `bf16` and `fp16` halve the memory, `int8` quarters it and is the fastest on a CPU, `int4` is the smallest. Adapters, gradients and optimizer state are always fp32.",
        usual:
          'int8 is about twice as fast as fp32 on a CPU; fp16-trained weights may break in bf16 (diffusers #10336)',
        defaultText: '`auto`: as the files hold them',
        otherNames: ['mixed_precision', 'precision', 'base_model_precision', 'weight_dtype', 'quantize', 'train_dtype'],
      }),
    vae_dtype: z
      .enum(['fp32', 'bf16'])
      .default('fp32')
      .register(optionDocs, {
        about: 'Precision of the autoencoder (DC-AE).',
        expects: 'fp32 or bf16; fp16 gives black pictures and NaN',
        source: "diffusers' script: the autoencoder stays in fp32",
        otherNames: ['vae_precision'],
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
    text_encoder_dtype: z
      .enum(['auto', 'fp32', 'bf16', 'fp16', 'int8', 'int4'])
      .default('auto')
      .register(optionDocs, {
        about:
          'How the weights of the text encoder (Gemma-2-2B) are held. It is freed before training: this decides the memory of the caching stage alone.',
        usual: 'Gemma-2-2B takes 10 GB in fp32, 5 GB in bf16, 2.6 GB in int8',
        defaultText: '`auto`: as the files hold them',
        source: "diffusers' script has bf16",
        otherNames: ['text_encoder_precision'],
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
    engine: z.enum(['onnxruntime', 'tfjs']).default('onnxruntime').register(optionDocs, {
      about:
        'What computes: `onnxruntime` comes with this package; `tfjs` uses a TensorFlow.js backend that you install yourself, such as @tensorflow/tfjs-node-gpu.',
      mayChange: true,
    }),
    provider: z
      .enum(['cpu', 'cuda', 'webgpu', 'dml', 'coreml'])
      .default('cpu')
      .register(optionDocs, {
        about:
          "onnxruntime's execution provider: `cpu` everywhere, `cuda` for NVIDIA on Linux, `dml` (DirectML) on Windows, `coreml` on a Mac, `webgpu` for any GPU. `sana-train doctor` measures what this machine has.",
        mayChange: true,
        otherNames: ['device', 'gpu'],
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
    about: 'The base model, its precision and what computes. `model: NAME` alone is short for `model: { path: NAME }`.',
    shorthand: 'path',
  });
