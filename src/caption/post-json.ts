import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** A server's answer, read to its end. */
export interface PostAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What {@link postJson} takes beside the address and the body. */
export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Until the whole answer is there. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal;
}

/** What an answer of a few sentences will not come to. */
const mostBytes = 2 ** 24;

/**
 * Posts JSON and reads the answer as text; connections are kept for the next request. It goes round fetch, whose requests
 * are watched by finalizers: V8's quick collections of garbage cannot free them, and over thousands of them some 20 kB
 * each pile up until a full collection. Redirects are not followed; a proxy is used where Node itself does that (from
 * Node 24 on, with NODE_USE_ENV_PROXY=1).
 *
 * @throws Error when no connection or no answer came, or one without an end, named TimeoutError when that took too long
 */
export function postJson(
  url: string,
  body: string,
  { headers, timeoutSeconds, signal }: PostOptions,
): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const post = /^https:/i.test(url) ? requestHttps : requestHttp;
    const length = String(Buffer.byteLength(body));
    const request = post(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': length, ...headers },
    });
    // What ends it by itself is why it ended, whatever the connection says of that afterwards.
    let reason: unknown;
    function end(why: unknown): void {
      reason ??= why;
      request.destroy();
    }
    const stop = (): void => end(signal?.reason);
    const timer = setTimeout(() => end(new DOMException('no answer in time', 'TimeoutError')), timeoutSeconds * 1000);
    signal?.addEventListener('abort', stop, { once: true });
    function settle(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
    function fail(error: unknown): void {
      settle();
      // oxlint-disable-next-line prefer-promise-reject-errors -- an AbortSignal's reason may be anything
      reject(reason ?? error);
    }
    request.on('error', fail);
    request.on('response', (response) => {
      const chunks: Uint8Array[] = [];
      response.on('error', fail);
      let size = 0;
      response.on('data', (chunk: Uint8Array) => {
        size += chunk.length;
        if (size > mostBytes) end(new Error(`its answer is longer than ${mostBytes >> 20} MiB`));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        settle();
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    request.end(body);
  });
}
