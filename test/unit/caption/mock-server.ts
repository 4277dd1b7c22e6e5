import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the mock answers: status, body, headers, and how long it takes. */
export interface MockAnswer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
}

/** A chat completion that says `content`. */
export function completion(content: string): MockAnswer {
  return { body: JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content } }] }) };
}

/** A server on this machine that stands for one with OpenAI's interface. */
export interface MockServer {
  readonly baseUrl: string;
  readonly requests: readonly { readonly url: string; readonly authorization?: string; readonly body: unknown }[];
  /** The most requests that were under way at once. */
  readonly atOnce: () => number;
  close(): Promise<void>;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (chunk instanceof Buffer) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Starts a mock; `answer` is asked for each request by its number, from 0. */
export async function startMockServer(answer: (index: number) => MockAnswer): Promise<MockServer> {
  const requests: { url: string; authorization?: string; body: unknown }[] = [];
  let [current, most] = [0, 0];
  const server = createServer((request, response) => {
    void (async () => {
      most = Math.max(most, ++current);
      const body: unknown = JSON.parse(await textOf(request));
      const { authorization } = request.headers;
      requests.push({ url: request.url ?? '', body, ...(authorization !== undefined && { authorization }) });
      const { status = 200, body: said = '', headers = {}, delayMs = 0 } = answer(requests.length - 1);
      setTimeout(() => {
        current--;
        response.writeHead(status, headers).end(said);
      }, delayMs);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    atOnce: () => most,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
