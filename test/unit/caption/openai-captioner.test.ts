import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { CaptionError, type PictureToCaption } from '../../../src/caption/captioner.ts';
import { createOpenaiCaptioner, type OpenaiOptions } from '../../../src/caption/openai-captioner.ts';
import { completion, type MockAnswer, type MockServer, startMockServer } from './mock-server.ts';

const path = join(import.meta.dirname, '../metrics/goldens/waves.png');
const picture = (id = 'a'): PictureToCaption => ({
  id,
  path,
  hash: id,
  pixels: () => Promise.reject(new Error('a server gets the file')),
  existing: [],
  triggerWord: '',
});

interface Part {
  readonly text?: string;
  readonly image_url?: { readonly url: string };
}

let server: MockServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function open(answer: (index: number) => MockAnswer, options: Partial<OpenaiOptions> = {}) {
  server = await startMockServer(answer);
  return createOpenaiCaptioner({
    baseUrl: server.baseUrl,
    model: 'llava',
    temperature: 0,
    maxNewTokens: 99,
    maxImageSize: 64,
    maxConcurrentRequests: 2,
    timeoutSeconds: 5,
    maxRetries: 3,
    firstWait: 0.01,
    ...options,
  });
}

describe('createOpenaiCaptioner', () => {
  it('sends the picture, scaled, with the prompt and the key', async () => {
    const caption = await open(() => completion('a fox'), { apiKey: 'secret', prompt: 'What is this?' });
    expect(await caption(picture())).toEqual(['a fox']);
    const [request] = server?.requests ?? [];
    expect(request?.url).toBe('/v1/chat/completions');
    expect(request?.authorization).toBe('Bearer secret');
    expect(request?.body).toMatchObject({ model: 'llava', temperature: 0, max_tokens: 99 });
    const { messages } = (request?.body ?? {}) as {
      readonly messages?: readonly { readonly content: readonly Part[] }[];
    };
    const [text, image] = messages?.[0]?.content ?? [];
    expect(text?.text).toBe('What is this?');
    expect(image?.image_url?.url).toMatch(/^data:image\/jpeg;base64,\/9j/);
  });

  it.each<readonly [string, MockAnswer]>([
    ['429', { status: 429, headers: { 'retry-after': '0' } }],
    ['500', { status: 500, body: '<html>oops</html>' }],
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<html><body>Bad gateway</body></html>' }],
    ['half a JSON', { body: '{"choices": [' }],
    ['another JSON', { body: '{"error": "busy"}' }],
  ])('asks again after %s', async (_, first) => {
    const caption = await open((index) => (index < 2 ? first : completion('a fox')));
    expect(await caption(picture())).toEqual(['a fox']);
    expect(server?.requests).toHaveLength(3);
  });

  it('asks again when no answer comes in time', async () => {
    const caption = await open(
      (index) => (index === 0 ? { ...completion('late'), delayMs: 2000 } : completion('a fox')),
      {
        timeoutSeconds: 0.2,
      },
    );
    expect(await caption(picture())).toEqual(['a fox']);
  });

  it('gives up after max_retries, and says what the server said', async () => {
    const caption = await open(() => ({ status: 503, body: 'overloaded' }), { maxRetries: 1 });
    await expect(caption(picture())).rejects.toThrow(/answered 503 \("overloaded"\)/);
    expect(server?.requests).toHaveLength(2);
  });

  it('does not ask again for what cannot pass', async () => {
    const caption = await open(() => ({ status: 400, body: 'bad picture' }));
    await expect(caption(picture())).rejects.toThrow(CaptionError);
    expect(server?.requests).toHaveLength(1);
  });

  it('fails once and for all with a wrong key or model', async () => {
    const caption = await open(() => ({ status: 401 }));
    await expect(caption(picture())).rejects.toMatchObject({ isLasting: true });
    await expect(caption(picture('b'))).rejects.toThrow(/api_key_env/);
    expect(server?.requests).toHaveLength(1);
  });

  it('says where a server points to', async () => {
    const caption = await open(() => ({
      status: 308,
      headers: { location: 'https://example.org/v1/chat/completions' },
    }));
    await expect(caption(picture())).rejects.toThrow(/answered 308 and points to https:\/\/example.org.*base_url/);
    expect(server?.requests).toHaveLength(1);
  });

  it('takes a server that is not there for down after a few pictures', async () => {
    const caption = await open(() => completion(''), { maxRetries: 0 });
    await server?.close();
    const errors = [];
    for (const id of ['a', 'b', 'c', 'd']) errors.push(await caption(picture(id)).catch((error: unknown) => error));
    expect(errors.map((error) => error instanceof CaptionError && error.isLasting)).toEqual([false, false, true, true]);
    expect(String(errors[2])).toMatch(/could not be asked: .*ECONNREFUSED.*run the command again/s);
  });

  it('never has more than its limit of requests under way', async () => {
    const caption = await open((index) => ({ ...completion(`caption ${index}`), delayMs: 150 }));
    const all = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => caption(picture(id))));
    expect(new Set(all.flat()).size).toBe(6);
    expect(server?.atOnce()).toBe(2);
  });

  it('leaves a request when it is told to', async () => {
    const caption = await open(() => ({ ...completion('late'), delayMs: 3000 }));
    const controller = new AbortController();
    const result = caption(picture(), controller.signal);
    setTimeout(() => controller.abort(), 100);
    await expect(result).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('stops waiting when it is told to', async () => {
    const caption = await open(() => ({ status: 429, headers: { 'retry-after': '200' } }));
    const controller = new AbortController();
    const result = caption(picture(), controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(result).rejects.toThrow(/abort/i);
  });
});
