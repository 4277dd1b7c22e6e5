import { Tensor } from '@huggingface/transformers';
import { describe, expect, it } from 'vitest';

import { ask } from '../../../src/caption/vision-language-model.ts';

type Parts = Parameters<typeof ask>[1];

const picture = { data: new Uint8Array(4 * 2 * 3).fill(7), width: 4, height: 2 };
const ids = (...values: number[]) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);

/** A stand-in that records what it is asked; its tokens are words' lengths. */
function parts(output: Tensor, size?: object): Parts & { readonly calls: unknown[][] } {
  const calls: unknown[][] = [];
  const processor = (...inputs: readonly unknown[]) => {
    calls.push(['processor', ...inputs]);
    return Promise.resolve({ pixel_values: 'pixels', input_ids: ids(1, 2, 3) });
  };
  return {
    calls,
    processor: Object.assign(processor, {
      image_processor: { config: size === undefined ? {} : { size, resample: 2 } },
      apply_chat_template: (messages: readonly unknown[]) => `chat ${JSON.stringify(messages)}`,
      construct_prompts: (text: string) => [`prompt of ${text}`],
      post_process_generation: (text: string, task: string) => ({ [task]: `${text} of ${task}` }),
    }),
    tokenizer: Object.assign((text: string) => ({ input_ids: ids(1), text }), {
      batch_decode: (tokens: unknown) => [tokens instanceof Tensor ? [...tokens.data].join(' ') : ''],
    }),
    model: {
      config: { num_image_tokens: 2 },
      generate(inputs) {
        calls.push(['generate', inputs]);
        return Promise.resolve(output);
      },
    },
  };
}

describe('ask', () => {
  it('asks an encoder-decoder for words by the picture alone, at the size of its training', async () => {
    const model = parts(ids(5, 6), { height: 1, width: 1 });
    expect(await ask('vision-encoder-decoder', model, picture, { maxNewTokens: 9 })).toBe('5 6');
    expect(model.calls[0]?.[1]).toMatchObject({ width: 1, height: 1 });
    expect(model.calls[1]?.[1]).toMatchObject({ inputs: 'pixels', max_new_tokens: 9 });
  });

  it('asks Florence-2 by a task', async () => {
    const model = parts(ids(5));
    expect(await ask('florence2', model, picture, { maxNewTokens: 9 })).toBe('5 of <MORE_DETAILED_CAPTION>');
    expect(model.calls[0]?.[2]).toEqual(['prompt of <MORE_DETAILED_CAPTION>']);
    await expect(ask('florence2', model, picture, { prompt: 'Hello', maxNewTokens: 9 })).rejects.toThrow(/<CAPTION>/);
  });

  it('gives chat models text and picture in their own order, and leaves the prompt out of the answer', async () => {
    const model = parts(ids(1, 2, 3, 8, 9));
    expect(await ask('smolvlm', model, picture, { prompt: 'What?', maxNewTokens: 9 })).toBe('8 9');
    expect(String(model.calls[0]?.[1])).toContain('What?');
    const other = parts(ids(1, 2, 3, 8));
    expect(await ask('llava', other, picture, { maxNewTokens: 9 })).toBe('8');
    expect(String(other.calls[0]?.[2])).toContain('Describe this picture');
  });

  it('asks Moondream a question', async () => {
    const model = parts(ids(1, 8));
    expect(await ask('moondream1', model, picture, { prompt: 'What?', maxNewTokens: 9 })).toBe('8');
    expect(model.calls[1]?.[1]).toMatchObject({
      text: '<image><image>\n\nQuestion: What?\n\nAnswer:',
      pixel_values: 'pixels',
    });
  });
});
