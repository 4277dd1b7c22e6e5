import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the fake behaves; a test changes it between requests. */
export interface Behaviour {
  /** Files of the one repository, by path. */
  readonly files: Map<string, Buffer>;
  readonly commit: string;
  /** Only with this token. */
  token?: string;
  gated?: boolean;
  /** Breaks the connection after so many bytes of a file, so often. */
  breaks?: { readonly after: number; times: number };
  /** Sends whole files, whatever range is asked for. */
  ignoresRange?: boolean;
  /** Sends these bytes for a path in place of its own, so often. */
  damaged?: { readonly path: string; times: number };
  /** Answers with this status, so often. */
  busy?: { readonly status: number; times: number };
}

/** A hub on 127.0.0.1 that has what @huggingface/hub asks of one, for one repository. */
export interface FakeHub {
  readonly url: string;
  readonly requests: string[];
  readonly behaviour: Behaviour;
  close(): Promise<void>;
}

const sha1 = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** Git LFS keeps what is large; here: weights. */
const isLarge = (path: string): boolean => path.endsWith('.safetensors') || path.endsWith('.bin');

/** The name that the cache has for a file's content. */
export function digestOf(path: string, content: Buffer): string {
  return isLarge(path) ? sha256(content) : sha1(content);
}

/** Starts it. */
export async function startFakeHub(id: string, behaviour: Behaviour): Promise<FakeHub> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    answer(id, behaviour, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    behaviour,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(id: string, behaviour: Behaviour, request: IncomingMessage, response: ServerResponse): void {
  const { files, commit, token, gated, busy } = behaviour;
  const { pathname } = new URL(request.url ?? '', 'http://hub');
  const refuse = (status: number, code: string, message: string): void => {
    response.writeHead(status, { 'X-Error-Code': code, 'X-Error-Message': message }).end();
  };
  const json = (value: unknown): void => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
  };
  if (busy && busy.times-- > 0) return refuse(busy.status, '', 'busy');
  const given = request.headers.authorization?.replace('Bearer ', '');
  if (given !== undefined && given !== token) return refuse(401, '', 'Invalid credentials in Authorization header');

  const api = `/api/models/${id}`;
  if (pathname.startsWith(`${api}/revision/`)) {
    const revision = decodeURIComponent(pathname.slice(`${api}/revision/`.length));
    if (!['main', commit].includes(revision)) return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    return json({ _id: '1', id, sha: commit, private: false, gated: gated ?? false, lastModified: '2025-01-01' });
  }
  if (pathname === `${api}/tree/${commit}`) {
    return json(
      [...files].map(([path, content]) => ({
        type: 'file',
        path,
        size: content.length,
        oid: sha1(content),
        ...(isLarge(path) && { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } }),
      })),
    );
  }
  const resolve = `/${id}/resolve/${commit}/`;
  if (!pathname.startsWith(resolve)) return refuse(404, 'RepoNotFound', 'Repository not found');
  if (gated === true && given === undefined) return refuse(401, 'GatedRepo', 'Access to model is restricted');
  const path = pathname.slice(resolve.length);
  const content = files.get(path);
  if (!content) return refuse(404, 'EntryNotFound', 'Entry not found');
  sendFile(behaviour, path, content, request, response);
}

function sendFile(
  behaviour: Behaviour,
  path: string,
  content: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '');
  const isProbe = range?.[1] === '0' && range[2] === '0';
  let bytes = content;
  if (!isProbe && behaviour.damaged?.path === path && behaviour.damaged.times-- > 0)
    bytes = Buffer.alloc(content.length, 1);
  const headers = { ETag: `"${digestOf(path, content)}"` };
  if (!range || (behaviour.ignoresRange === true && !isProbe)) response.writeHead(200, headers);
  else {
    const [start, end] = [Number(range[1]), range[2] === '' ? bytes.length - 1 : Number(range[2])];
    bytes = bytes.subarray(start, end + 1);
    response.writeHead(206, { ...headers, 'Content-Range': `bytes ${start}-${end}/${content.length}` });
  }
  const { breaks } = behaviour;
  if (!isProbe && breaks && breaks.times > 0 && bytes.length > breaks.after) {
    breaks.times--;
    response.write(bytes.subarray(0, breaks.after), () => setTimeout(() => response.destroy(), 20));
    return;
  }
  response.end(bytes);
}
