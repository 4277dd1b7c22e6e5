import { UserError } from '../errors.ts';
import { cleanPrompt } from './clean-prompt.ts';
import type { Tokenizer } from './tokenizer.ts';

// Shape letters: L tokens that Gemma reads, T = maxSequenceLength tokens that the transformer sees.

/** A prompt as Gemma is to read it, and the part of what Gemma says that the transformer is to see. */
export interface PreparedPrompt {
  /** The text that was encoded: instruction and cleaned prompt. What hidden states are cached by. */
  readonly text: string;
  /** [L] token ids, padded on the right. */
  readonly inputIds: readonly number[];
  /** [L] 1 for a token, 0 for padding. */
  readonly attentionMask: readonly number[];
  /** [T] the positions in L whose hidden states, and mask, the transformer sees: 0 and the last T - 1. */
  readonly select: readonly number[];
  /** How many tokens of the prompt's end did not fit and are lost. */
  readonly truncated: number;
  /** How many of the first tokens are the instruction's, whatever the prompt: 0 without one. */
  readonly instruction: number;
}

/** What {@link preparePrompt} takes. */
export interface PromptOptions {
  readonly prompt: string;
  /** The instruction's lines, see chiLines; null or an empty list for none, as for the unconditional prompt. */
  readonly chi: readonly string[] | null;
  readonly tokenizer: Tokenizer;
  /** T. @default 300 */
  readonly maxSequenceLength?: number;
}

/**
 * Cleans, encodes, pads and truncates a prompt as SanaPipeline.encode_prompt of diffusers does (section 3.1 of the
 * paper): L = T without an instruction; with one, L = (its tokens, BOS among them) + T - 2. The T tokens seen are
 * BOS and the last T - 1 of L, a window that begins one token before the instruction's end, because the instruction's
 * last space becomes one token with the caption's first word.
 */
export function preparePrompt({ prompt, chi, tokenizer, maxSequenceLength = 300 }: PromptOptions): PreparedPrompt {
  const shortest = 2; // BOS and one token; with one alone and an instruction, Gemma would read part of the instruction
  if (!Number.isSafeInteger(maxSequenceLength) || maxSequenceLength < shortest) {
    throw new UserError(
      `max_sequence_length is ${maxSequenceLength}; use a whole number from ${shortest} (Sana has 300).`,
    );
  }
  const instruction = (chi ?? []).join('\n');
  const text = instruction + cleanPrompt(prompt);
  const hasInstruction = chi !== null && chi.length > 0;
  const instructionIds = hasInstruction ? tokenizer.encode(instruction) : [];
  const length = hasInstruction ? instructionIds.length + maxSequenceLength - 2 : maxSequenceLength;
  const ids = tokenizer.encode(text);
  // The last one may merge with the prompt's first word.
  const differs = instructionIds.slice(0, -1).findIndex((token, i) => token !== ids[i]);
  const kept = ids.slice(0, length);
  const padding = length - kept.length;
  return {
    text,
    inputIds: [...kept, ...Array<number>(padding).fill(tokenizer.padId)],
    attentionMask: [...Array<number>(kept.length).fill(1), ...Array<number>(padding).fill(0)],
    select: [0, ...Array.from({ length: maxSequenceLength - 1 }, (_, i) => length - maxSequenceLength + 1 + i)],
    truncated: ids.length - kept.length,
    instruction: differs < 0 ? Math.max(0, instructionIds.length - 1) : differs,
  };
}
