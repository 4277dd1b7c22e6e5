import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { float32, type Tensor } from '../graph/tensor.ts';
import { preparePrompt } from '../text/prompt.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { gemma2HiddenStates, type Gemma2RunOptions } from './gemma2-hidden-states.ts';
import type { Gemma2 } from './gemma2.ts';

// Shape letters: B prompts, T tokens that the transformer sees, D width of the text encoder.

/** What turns prompts into embeddings. */
export interface PromptEncoder {
  readonly tokenizer: Tokenizer;
  readonly textEncoder: Gemma2;
}

/** A prompt; in place of a text, one with an instruction of its own. */
export type Prompt = string | { readonly prompt: string; readonly chi: readonly string[] | null };

/** Settings of {@link encodePrompts}. */
export interface EncodePromptsOptions extends Gemma2RunOptions {
  /** The instruction's lines before each prompt, see chiLines; null for none. @default null */
  readonly chi?: readonly string[] | null;
  /** The most tokens that the transformer sees of a prompt. @default 300 */
  readonly maxSequenceLength?: number;
}

/**
 * A prompt's embeddings: what a cache keeps of it and a training step takes. Only rows of tokens; the rows of padding
 * that diffusers has after them are hidden by its mask and change nothing.
 */
export interface EncodedPrompt {
  /** The text that was encoded, instruction and cleaned prompt: with the model and maxSequenceLength, a cache's key. */
  readonly text: string;
  /** [T, D] float32: the first token, and those from the instruction's end on; T up to maxSequenceLength */
  readonly promptEmbeds: Tensor & { readonly data: Float32Array };
  /** How many tokens of the prompt's end did not fit and are lost. */
  readonly truncated: number;
}

/**
 * A prompt that guides away from something, '' for the unconditional one. As in diffusers' pipeline it has no
 * instruction.
 */
export function negativePrompt(prompt = ''): Prompt {
  return { prompt, chi: null };
}

/**
 * Encodes prompts as SanaPipeline.encode_prompt of diffusers does. The layers' weights pass through memory once for up
 * to `rowsPerPass` tokens, so give all prompts at once, the negative one too; the instruction, and prompts that are
 * equal, are not computed twice. What comes of a prompt does not depend on the others, bit for bit.
 * @throws UserError for NaN in the weights and for a tokenizer of another model
 */
export async function encodePrompts(
  engine: Engine,
  encoder: PromptEncoder,
  prompts: readonly Prompt[],
  options: EncodePromptsOptions = {},
): Promise<readonly EncodedPrompt[]> {
  const encoded = Array<EncodedPrompt | undefined>(prompts.length).fill(undefined);
  for await (const { index, ...result } of streamEncodedPrompts(engine, encoder, prompts, options)) {
    encoded[index] = result;
  }
  return encoded.filter((result) => result !== undefined);
}

/**
 * {@link encodePrompts} for as many prompts as one likes: each comes when its pass over the layers ends, with its index
 * and in no order, so that a cache keeps what is done when the run is stopped.
 */
export async function* streamEncodedPrompts(
  engine: Engine,
  { tokenizer, textEncoder }: PromptEncoder,
  prompts: readonly Prompt[],
  { chi = null, maxSequenceLength = 300, ...options }: EncodePromptsOptions = {},
): AsyncGenerator<EncodedPrompt & { readonly index: number }> {
  const prepared = prompts.map((entry) => {
    const one = typeof entry === 'string' ? { prompt: entry, chi } : entry;
    const { text, inputIds, attentionMask, select, truncated, instruction } = preparePrompt({
      ...one,
      tokenizer,
      maxSequenceLength,
    });
    // Padding is on the right and the model is causal: without it the tokens' states are the same.
    const tokens = inputIds.filter((_, position) => attentionMask[position] === 1);
    if (tokens.length === 0) {
      throw new UserError(
        `The tokenizer makes no token of ${JSON.stringify(text)}; use Gemma's, which begins with BOS.`,
      );
    }
    return {
      text,
      truncated,
      inputIds: tokens,
      shared: instruction,
      positions: select.filter((position) => position < tokens.length),
    };
  });
  for await (const { index, hiddenStates } of gemma2HiddenStates(engine, textEncoder, prepared, options)) {
    const { text = '', truncated = 0 } = prepared[index] ?? {};
    yield { index, text, promptEmbeds: hiddenStates, truncated };
  }
}

/** Embeddings of several prompts as the transformer takes them. */
export interface PromptBatch {
  /** [B, T, D], zero where the mask is */
  readonly promptEmbeds: Tensor & { readonly data: Float32Array };
  /** [B, T], 1 for a token, 0 for padding */
  readonly promptAttentionMask: Tensor & { readonly data: Float32Array };
}

/**
 * Puts prompts of different lengths into a batch.
 * @param length T. @default the longest one's: the transformer's cost grows with it and padding changes nothing
 */
export function padPromptEmbeds(
  prompts: readonly Pick<EncodedPrompt, 'promptEmbeds'>[],
  length = Math.max(0, ...prompts.map(({ promptEmbeds }) => promptEmbeds.shape[0] ?? 0)),
): PromptBatch {
  const d = prompts[0]?.promptEmbeds.shape[1] ?? 0;
  const embeds = new Float32Array(prompts.length * length * d);
  const mask = new Float32Array(prompts.length * length);
  for (const [i, { promptEmbeds }] of prompts.entries()) {
    const [tokens = 0, width] = promptEmbeds.shape;
    if (tokens > length || width !== d) {
      throw new RangeError(`padPromptEmbeds: up to [${length}, ${d}] expected, got [${promptEmbeds.shape.join(', ')}]`);
    }
    embeds.set(promptEmbeds.data, i * length * d);
    mask.fill(1, i * length, i * length + tokens);
  }
  return {
    promptEmbeds: float32([prompts.length, length, d], embeds),
    promptAttentionMask: float32([prompts.length, length], mask),
  };
}
