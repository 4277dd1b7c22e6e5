import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { chiLines } from '../../../src/text/chi.ts';
import { lostTokens } from '../../../src/text/lost-tokens.ts';
import { preparePrompt } from '../../../src/text/prompt.ts';
import { loadTokenizer } from '../../../src/text/tokenizer.ts';

const tokenizer = await loadTokenizer(join(import.meta.dirname, 'goldens', 'tokenizer'));

describe('lostTokens', () => {
  it.each([null, chiLines.diffusers])('counts what preparePrompt cuts off', (chi) => {
    const counts = [9, 10, 11, 30, 60].map((words) => {
      const prompt = 'ein 🙂 '.repeat(words);
      const window = { chi, tokenizer, maxSequenceLength: 80 };
      const lost = lostTokens(prompt, window);
      expect(lost).toBe(preparePrompt({ ...window, prompt }).truncated);
      return lost;
    });
    expect(counts[0]).toBe(0);
    expect(counts[4]).toBeGreaterThan(0);
  });
});
