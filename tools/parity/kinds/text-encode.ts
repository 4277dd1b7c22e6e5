import path from 'node:path';
import { z } from 'zod';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { encodePrompts, padPromptEmbeds } from '../../../src/models/encode-prompts.ts';
import { loadGemma2 } from '../../../src/models/gemma2.ts';
import { loadTokenizer } from '../../../src/text/tokenizer.ts';
import type { ParityCase } from '../cases.ts';
import { closeSharedEngine, sharedEngine } from '../pipeline.ts';

const paramsSchema = z.object({
  prompts: z.array(z.string()),
  max_sequence_length: z.number(),
  complex_human_instruction: z.array(z.string()).nullable(),
});

/** The embeddings of prompts, padded as diffusers has them; rows of padding are zero. */
export async function run({ params, folder }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const {
    prompts,
    max_sequence_length: maxSequenceLength,
    complex_human_instruction: chi,
  } = paramsSchema.parse(params);
  const tokenizer = await loadTokenizer(path.join(folder, 'pipeline', 'tokenizer'));
  const textEncoder = await loadGemma2(path.join(folder, 'pipeline', 'text_encoder'));
  const encoded = await encodePrompts(sharedEngine(), { tokenizer, textEncoder }, prompts, { maxSequenceLength, chi });
  const { promptEmbeds, promptAttentionMask } = padPromptEmbeds(encoded, maxSequenceLength);
  return new Map([
    ['prompt_embeds', promptEmbeds],
    ['prompt_attention_mask', promptAttentionMask],
  ]);
}

export const dispose = closeSharedEngine;
