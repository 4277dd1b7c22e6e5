import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { chiLines } from '../../../src/text/chi.ts';
import { cleanPrompt } from '../../../src/text/clean-prompt.ts';
import { preparePrompt } from '../../../src/text/prompt.ts';
import { loadTokenizer } from '../../../src/text/tokenizer.ts';
import type { Tokenizer } from '../../../src/text/tokenizer.ts';

interface Goldens {
  readonly encoded: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly prompts: readonly {
    readonly prompt: string;
    readonly chi: readonly string[] | null;
    readonly maxSequenceLength: number;
    readonly inputIds: readonly number[];
    readonly select: readonly number[];
    readonly selectedMask: readonly number[];
  }[];
}

// Made by tools/goldens/text.py with transformers and diffusers.
const folder = join(import.meta.dirname, 'goldens');
const goldens: Goldens = JSON.parse(readFileSync(join(folder, 'prompts.json'), 'utf8'));
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(join(folder, 'tokenizer'));
});

describe('loadTokenizer', () => {
  it.each(goldens.encoded.map(({ text, ids }) => [text.slice(0, 60), text, ids] as const))(
    'encodes %j as transformers does',
    (_, text, ids) => {
      expect(tokenizer.encode(text)).toEqual(ids);
    },
  );
});

describe('preparePrompt', () => {
  it.each(goldens.prompts.map((golden) => [golden.prompt.slice(0, 30), golden.chi?.length, golden] as const))(
    'prepares %j with %s lines of instruction as diffusers does',
    (_, lines, { prompt, chi, maxSequenceLength, inputIds, select, selectedMask }) => {
      const prepared = preparePrompt({ prompt, chi, tokenizer, maxSequenceLength });
      expect(prepared.inputIds).toEqual(inputIds);
      expect(prepared.select).toEqual(select);
      expect(prepared.select.map((at) => prepared.attentionMask[at])).toEqual(selectedMask);
      expect(prepared.attentionMask).toHaveLength(inputIds.length);
    },
  );

  it('tells how many of the first tokens are there with any prompt', () => {
    const chi = chiLines.diffusers;
    const instructions = ['a dog', '', '123', '  !'].map((prompt) => preparePrompt({ prompt, chi, tokenizer }));
    const [first] = instructions;
    const count = first?.instruction ?? 0;
    // Its last token, a space, becomes one with the first word.
    expect(count).toBe(tokenizer.encode(chi.join('\n')).length - 1);
    for (const { instruction, inputIds } of instructions) {
      expect(instruction).toBe(count);
      expect(inputIds.slice(0, count)).toEqual(first?.inputIds.slice(0, count));
    }
    expect(preparePrompt({ prompt: 'a dog', chi: null, tokenizer }).instruction).toBe(0);
  });

  it('counts the tokens that were lost', () => {
    const prompt = 'a very long prompt '.repeat(40);
    const tokens = tokenizer.encode(prompt.trim()).length;
    expect(preparePrompt({ prompt, chi: null, tokenizer, maxSequenceLength: 20 }).truncated).toBe(tokens - 20);
    expect(preparePrompt({ prompt, chi: null, tokenizer, maxSequenceLength: tokens }).truncated).toBe(0);
    const chi = chiLines.diffusers;
    const all = tokenizer.encode(`${chi.join('\n')}${prompt.trim()}`).length;
    const read = tokenizer.encode(chi.join('\n')).length + 298;
    expect(preparePrompt({ prompt, chi, tokenizer }).truncated).toBe(Math.max(0, all - read));
  });

  it('encodes the empty prompt without instruction as BOS and padding', () => {
    const { inputIds, attentionMask, select } = preparePrompt({ prompt: '', chi: null, tokenizer });
    expect(inputIds).toEqual([tokenizer.bosId, ...Array<number>(299).fill(tokenizer.padId)]);
    expect(attentionMask).toEqual([1, ...Array<number>(299).fill(0)]);
    expect(select).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  it('says which lengths are possible', () => {
    expect(() => preparePrompt({ prompt: '', chi: null, tokenizer, maxSequenceLength: 1.5 })).toThrow(
      'max_sequence_length is 1.5; use a whole number from 2',
    );
  });
});

describe('cleanPrompt', () => {
  it("does what Python's lower() and strip() do", () => {
    expect(cleanPrompt(' \u001c\u0085\u3000A  Dog\n\n ')).toBe('a  dog');
    expect(cleanPrompt('\ufeffÀ\ufeff')).toBe('\ufeffà\ufeff');
    expect(cleanPrompt('ΌΔΟΣ İ')).toBe('όδος i\u0307');
  });
});

describe('chiLines', () => {
  it('holds both texts, which differ in their quotes alone', () => {
    const { diffusers, nvlabs } = chiLines;
    expect(diffusers).toHaveLength(8);
    expect(diffusers[0]).toContain("'Enhanced prompt'");
    expect(nvlabs[0]).toContain('"Enhanced prompt"');
    expect(nvlabs.join('\n').replaceAll('"', "'")).toBe(diffusers.join('\n'));
    expect(diffusers.at(-1)).toBe('User Prompt: ');
  });
});
