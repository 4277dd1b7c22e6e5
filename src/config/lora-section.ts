import { z } from 'zod';

import { auto, optionDocs, positive, share } from './option.ts';

/** `lora`: the adapter. Names and meanings are peft's LoraConfig's. */
export const loraSection = z
  .strictObject({
    type: z
      .enum(['lora', 'dora', 'lokr', 'loha'])
      .default('lora')
      .register(optionDocs, {
        about:
          "The kind of adapter: `lora` (arXiv 2106.09685) loads everywhere; `dora` (2402.09353) also learns magnitudes, often better at low ranks, slower; `lokr` (2212.10650) and `loha` (2108.06098) are LyCORIS' Kronecker and Hadamard products, small files of a high rank, which fewer programs load (see [adapters](adapters.md)).",
        otherNames: ['network_type', 'lora_type', 'peft_type', 'network_module'],
      }),
    rank: z
      .int()
      .min(1)
      .max(4096)
      .default(16)
      .register(optionDocs, {
        about: 'Rank of the adapter matrices: more can hold more detail, takes more memory and overfits sooner.',
        usual: '4 to 64',
        source: "OneTrainer's and SimpleTuner's; diffusers' script has 4",
        otherNames: ['network_dim', 'lora_rank', 'r', 'dim', 'linear'],
      }),
    alpha: z
      .union([auto, positive])
      .default('auto')
      .register(optionDocs, {
        about: 'The adapter is scaled by alpha / rank, which acts like a factor of the learning rate.',
        usual: 'the rank, or half of it',
        defaultText: '`auto`: the rank, a scale of 1',
        source: "diffusers' script (4 and 4); a file with alpha = rank has the right scale in every program",
        otherNames: ['lora_alpha', 'network_alpha', 'linear_alpha'],
      }),
    factor: z
      .union([z.literal(-1), z.int().min(2).max(4096)])
      .default(-1)
      .register(optionDocs, {
        about:
          'Of a `lokr`: about how many rows and columns the smaller of the two matrices has. -1 makes both alike, the smallest file; 4 to 16 with a high rank or `full_matrix` learn more.',
        expects: '-1, or a whole number from 2',
        source: "LyCORIS' (SimpleTuner's LoKr has 16)",
        otherNames: ['lokr_factor'],
      }),
    decompose_both: z.boolean().default(false).register(optionDocs, {
      about: 'Of a `lokr`: the smaller matrix is a product of the rank too.',
      source: 'LyCORIS',
    }),
    full_matrix: z.boolean().default(false).register(optionDocs, {
      about:
        'Of a `lokr`: both matrices are whole, and rank and alpha say nothing. A rank of half the larger matrix does the same.',
      source: 'LyCORIS',
    }),
    target_modules: z
      .array(z.string().min(1))
      .min(1)
      .default(['to_q', 'to_k', 'to_v'])
      .register(optionDocs, {
        about:
          'Names, or the ends of names, of the layers that are adapted: `to_q`, `to_k`, `to_v`, `to_out.0` (attention), `conv_inverted`, `conv_point` (feed-forward); `attn1` is self-attention and `attn2` cross-attention: `attn2.to_k`. More layers learn a style or a hard subject better, and cost time. `conv_depth` cannot be loaded by other programs and is refused.',
        source: "diffusers' script",
        otherNames: ['lora_layers', 'lora_target', 'target_modules_list', 'network_args'],
      }),
    rank_pattern: z.record(z.string().min(1), z.int().min(1).max(4096)).default({}).register(optionDocs, {
      about: 'Other ranks for some layers, by the end of the name: `{ attn2.to_k: 8 }`.',
      source: 'peft',
    }),
    alpha_pattern: z.record(z.string().min(1), positive).default({}).register(optionDocs, {
      about: 'Other alphas for some layers, by the end of the name.',
      source: 'peft',
    }),
    rslora: z
      .boolean()
      .default(false)
      .register(optionDocs, {
        about: 'Scales by alpha / sqrt(rank) (arXiv 2312.03732), so that high ranks learn as fast as low ones.',
        source: 'peft',
        otherNames: ['use_rslora'],
      }),
    dropout: share.default(0).register(optionDocs, {
      about: 'The share of its inputs that an adapter does not see in a step: less overfitting, slower learning.',
      usual: '0 to 0.1',
      source: "diffusers' script and peft",
      otherNames: ['lora_dropout', 'network_dropout'],
    }),
    init: z
      .enum(['gaussian', 'kaiming'])
      .default('gaussian')
      .register(optionDocs, {
        about:
          "How a LoRA begins: `gaussian`, or `kaiming`, peft's own default. Either way it changes nothing at step 0. A `lokr` or `loha` begins as LyCORIS begins it.",
        source: "diffusers' script (`init_lora_weights`)",
        otherNames: ['init_lora_weights'],
      }),
    init_from: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .register(optionDocs, {
        about:
          'An adapter of any format to go on from, made here or elsewhere: a file, or a folder of diffusers or peft. Its layers, ranks and scales are trained, whatever else `lora` says. See [adapters](adapters.md).',
        path: 'input',
        otherNames: ['network_weights', 'lora_path', 'lora_model_name', 'init_lora'],
      }),
  })
  .transform((lora) => ({ ...lora, alpha: lora.alpha === 'auto' ? lora.rank : lora.alpha }))
  .register(optionDocs, { about: 'The adapter that is trained.' });
