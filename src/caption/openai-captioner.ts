import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { readPictureFile } from '../../datasets/picture-file.ts';
import { errorCode } from '../io/file-error.ts';
import { quoted } from '../io/json.ts';
import { type CaptionFunction, CaptionError } from './captioner.ts';
import { encodeJpeg } from './decode-for-models.ts';
import { defaultPrompt } from './default-prompt.ts';
import { type PostAnswer, postJson } from './post-json.ts';

/** Settings of a captioner that is a server. */
export interface OpenaiOptions {
  /** Such as http://localhost:11434/v1. */
  readonly baseUrl: string;
  readonly model: string;
  /** @default the request for one paragraph */
  readonly prompt?: string;
  readonly apiKey?: string;
  readonly temperature: number;
  readonly maxNewTokens: number;
  /** Pixels of the longer side. */
  readonly maxImageSize: number;
  readonly maxConcurrentRequests: number;
  readonly timeoutSeconds: number;
  readonly maxRetries: number;
  /** Seconds before the first of the retries; each wait is twice the one before. @default 1 */
  readonly firstWait?: number;
}

const answerSchema = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })], z.unknown()),
});

/** A wait is never longer than this, in seconds, whatever a server asks for. */
const longestWait = 300;

/** After so many pictures in a row that a server failed on, it is taken to be down. */
const failuresUntilDown = 3;

type Attempt = { readonly text: string } | { readonly error: CaptionError; readonly waitSeconds?: number };

/** The seconds that a server asks to wait: a number, or a date. */
function retryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

/** What a failed request was about. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'it did not answer in time';
  // Where a name has several addresses, the error is of all of them and says nothing itself.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error ? first.message || first.name : error.name;
}

/** Node's codes for a certificate that nobody it trusts has signed. */
const unknownSigner = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** Runs at most `count` at once; the others wait in line. */
function createLimit(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const line: (() => void)[] = [];
  return async (work) => {
    if (running >= count) await new Promise<void>((resolve) => line.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next) next();
      else running--;
    }
  };
}

/**
 * Captions by a server with OpenAI's chat interface: Ollama, vLLM, LM Studio and others. What may pass is tried again
 * with longer and longer waits: no connection, no answer in time, 408, 429 and 5xx, an answer that is no JSON. A wrong
 * key or model fails at once, and a server that is down is not asked again for every picture.
 */
export function createOpenaiCaptioner(options: OpenaiOptions): CaptionFunction {
  const { baseUrl, model, apiKey, maxRetries, firstWait = 1 } = options;
  const url = `${baseUrl.replace(/\/+$/, '')}/chat/completions`;
  const limit = createLimit(options.maxConcurrentRequests);
  let down: CaptionError | undefined;
  let failures = 0;

  async function attempt(body: string, signal: AbortSignal | undefined): Promise<Attempt> {
    signal?.throwIfAborted();
    let answer: PostAnswer;
    try {
      answer = await postJson(url, body, {
        headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
        timeoutSeconds: options.timeoutSeconds,
        ...(signal && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      const message = `${url} could not be asked: ${reasonOf(error)}`;
      if (unknownSigner.includes(errorCode(error) ?? '')) {
        const remedy = 'set NODE_EXTRA_CA_CERTS to the file of the certificate that signed its own, and start again';
        throw new CaptionError(`${message}; ${remedy}.`, { isLasting: true, cause: error });
      }
      return { error: new CaptionError(`${message}.`, { cause: error }) };
    }
    const { status, headers, text } = answer;
    if (status === 401 || status === 403) {
      const message = `${url} answered ${status}; set the key in the environment variable that api_key_env names.`;
      throw new CaptionError(message, { isLasting: true });
    }
    if (status === 404) {
      const message = `${url} answered 404 (${quoted(text)}); check base_url and whether the server has the model ${model}.`;
      throw new CaptionError(message, { isLasting: true });
    }
    if (status >= 300 && status < 400) {
      const message = `${url} answered ${status} and points to ${headers.location ?? 'another place'}; set base_url to that (without /chat/completions).`;
      throw new CaptionError(message, { isLasting: true });
    }
    if (status < 200 || status >= 400) {
      const error = new CaptionError(`${url} answered ${status} (${quoted(text)}).`);
      if (status !== 408 && status !== 429 && status < 500) throw error;
      const waitSeconds = retryAfter(headers['retry-after'], Date.now());
      return { error, ...(waitSeconds !== undefined && { waitSeconds }) };
    }
    try {
      const parsed = answerSchema.safeParse(JSON.parse(text));
      if (parsed.success) return { text: parsed.data.choices[0].message.content };
    } catch {
      // No JSON: told below.
    }
    return { error: new CaptionError(`${url} answered what is no chat completion (${quoted(text)}).`) };
  }

  async function request(body: string, signal: AbortSignal | undefined): Promise<string> {
    for (let tries = 0; ; tries++) {
      if (down) throw down;
      const result = await attempt(body, signal);
      if ('text' in result) {
        failures = 0;
        return result.text;
      }
      if (tries >= maxRetries) {
        failures++;
        if (failures >= failuresUntilDown) {
          const message = `${result.error.message} It failed ${failures} pictures in a row, and is not asked any more; run the command again when it is up.`;
          throw new CaptionError(message, { isLasting: true });
        }
        throw result.error;
      }
      const wait = Math.min(longestWait, result.waitSeconds ?? firstWait * 2 ** tries);
      await sleep(wait * 1000, undefined, signal && { signal });
    }
  }

  return (picture, signal) =>
    limit(async () => {
      if (down) throw down;
      const { bytes } = await readPictureFile(picture.path);
      const jpeg = Buffer.from(await encodeJpeg(bytes, options.maxImageSize)).toString('base64');
      const content = [
        { type: 'text', text: options.prompt ?? defaultPrompt },
        { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${jpeg}` } },
      ];
      const body = JSON.stringify({
        model,
        temperature: options.temperature,
        max_tokens: options.maxNewTokens,
        messages: [{ role: 'user', content }],
      });
      try {
        return [await request(body, signal)];
      } catch (error) {
        if (error instanceof CaptionError && error.isLasting) down ??= error;
        throw error;
      }
    });
}
