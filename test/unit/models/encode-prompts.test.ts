import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { float32 } from '../../../src/graph/tensor.ts';
import {
  encodePrompts,
  negativePrompt,
  padPromptEmbeds,
  type PromptEncoder,
  streamEncodedPrompts,
} from '../../../src/models/encode-prompts.ts';
import { loadGemma2 } from '../../../src/models/gemma2.ts';
import type { Tokenizer } from '../../../src/text/tokenizer.ts';

/** A token a character. */
const tokenizer: Tokenizer = {
  encode: (text) => [2, ...Array.from(text, (character) => 3 + ((character.codePointAt(0) ?? 0) % 20))],
  bosId: 2,
  padId: 0,
};

let engine: Engine;
let encoder: PromptEncoder;
beforeAll(async () => {
  engine = createOnnxruntimeEngine({ threads: 1 });
  // Made by tools/goldens/gemma2.py.
  encoder = { tokenizer, textEncoder: await loadGemma2(join(import.meta.dirname, 'goldens/gemma2-fp32')) };
});
afterAll(async () => {
  await engine.close();
});

describe('encodePrompts', () => {
  it('keeps the tokens of a prompt and nothing of its padding', async () => {
    const [dog, long, empty] = await encodePrompts(engine, encoder, ['A dog ', 'abcdefghij', negativePrompt()], {
      maxSequenceLength: 8,
    });
    expect(dog?.text).toBe('a dog');
    expect(dog?.promptEmbeds.shape).toEqual([6, 12]);
    expect(dog?.truncated).toBe(0);
    expect(long?.promptEmbeds.shape).toEqual([8, 12]);
    expect(long?.truncated).toBe(3);
    expect(empty?.promptEmbeds.shape).toEqual([1, 12]);
  });

  it('shows the first token and those from the end of the instruction on', async () => {
    const chi = ['say', 'it: '];
    const options = { maxSequenceLength: 6, chi };
    const [guided, alone] = await encodePrompts(engine, encoder, ['cat', negativePrompt('cat')], options);
    // BOS, the instruction's last token, 3 of the prompt.
    expect(guided?.text).toBe('say\nit: cat');
    expect(guided?.promptEmbeds.shape).toEqual([5, 12]);
    expect(alone?.promptEmbeds.shape).toEqual([4, 12]);
    const [whole] = await encodePrompts(engine, encoder, ['say\nit: cat'], { maxSequenceLength: 20 });
    const rows = [0, 8, 9, 10, 11].flatMap((row) =>
      Array.from(whole?.promptEmbeds.data.slice(12 * row, 12 * row + 12) ?? []),
    );
    expect(guided?.promptEmbeds).toBeAllclose(float32([5, 12], rows), { rtol: 1e-4, atol: 1e-5 });
    // BOS has no past: it is the same with and without the instruction.
    expect(guided?.promptEmbeds.data.slice(0, 12)).toBeAllclose(alone?.promptEmbeds.data.slice(0, 12) ?? 0, {
      atol: 1e-5,
    });
    expect(guided?.promptEmbeds.data.slice(-12)).not.toBeAllclose(alone?.promptEmbeds.data.slice(-12) ?? 0, {
      atol: 1e-2,
    });
  });

  it('gives equal prompts equal embeddings', async () => {
    const [a, b] = await encodePrompts(engine, encoder, ['a dog', 'A dog']);
    expect(a).toEqual(b);
  });

  it('encodes a prompt in the same way beside any others', async () => {
    const options = { chi: ['say', 'it: '] };
    const prompts = ['a dog', 'a cat on a mat', negativePrompt(), 'a dog', 'x'];
    const together = await encodePrompts(engine, encoder, prompts, options);
    for (const [i, prompt] of prompts.entries()) {
      expect(await encodePrompts(engine, encoder, [prompt], options)).toEqual([together[i]]);
    }
  });

  it('has nothing to do for no prompts', async () => {
    expect(await encodePrompts(engine, encoder, [])).toEqual([]);
  });

  it('refuses a tokenizer that makes no token', async () => {
    const mute = { ...encoder, tokenizer: { ...tokenizer, encode: () => [] } };
    await expect(encodePrompts(engine, mute, [''])).rejects.toThrow('The tokenizer makes no token of ""');
  });
});

describe('streamEncodedPrompts', () => {
  it('gives what is done before the rest is computed', async () => {
    let done = 0;
    const options = { rowsPerPass: 4, onProgress: () => void done++ };
    const stream = streamEncodedPrompts(engine, encoder, ['abc', 'xyz'], options);
    const first = await stream.next();
    expect(first.done).toBe(false);
    expect(done).toBe(3); // the layers, once
    await stream.return(undefined);
  });
});

describe('padPromptEmbeds', () => {
  const prompts = [{ promptEmbeds: float32([2, 2], [1, 2, 3, 4]) }, { promptEmbeds: float32([1, 2], [5, 6]) }];

  it('pads to the longest with zeros and a mask', () => {
    const { promptEmbeds, promptAttentionMask } = padPromptEmbeds(prompts);
    expect(promptEmbeds).toEqual(float32([2, 2, 2], [1, 2, 3, 4, 5, 6, 0, 0]));
    expect(promptAttentionMask).toEqual(float32([2, 2], [1, 1, 1, 0]));
  });

  it('pads to a length, which must suffice', () => {
    expect(padPromptEmbeds(prompts, 3).promptAttentionMask.data).toEqual(Float32Array.of(1, 1, 0, 1, 0, 0));
    expect(() => padPromptEmbeds(prompts, 1)).toThrow('up to [1, 2] expected, got [2, 2]');
  });
});
