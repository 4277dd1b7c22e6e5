import { cleanPrompt } from './clean-prompt.ts';
import { preparePrompt, type PromptOptions } from './prompt.ts';

/** What prompts are cut by. */
export type TextWindow = Omit<PromptOptions, 'prompt'>;

/**
 * How many tokens of a prompt's end the transformer does not see. Most prompts are too short for any, which costs next
 * to nothing to know.
 */
export function lostTokens(prompt: string, window: TextWindow): number {
  const { maxSequenceLength = 300 } = window;
  // No token is less than a byte.
  if (Buffer.byteLength(cleanPrompt(prompt)) <= maxSequenceLength - 2) return 0;
  return preparePrompt({ ...window, prompt }).truncated;
}
