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
  /** What a push left, as git would have it: the files of the last commit, and the repository's visibility. */
  pushed?: { readonly files: Map<string, Buffer>; readonly visibility: string | undefined; title: string };
  /** Large files that were uploaded, by their SHA-256. */
  stored?: Map<string, Buffer>;
  /** Refuses to write, with this reason. */
  readOnly?: string;
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

  if (request.method !== 'GET') {
    void receive(id, behaviour, request, response, given);
    return;
  }
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

const jsonHeaders = { 'Content-Type': 'application/json' };

/** Takes what is pushed: makes the repository, keeps large files by their digest, and makes a commit of all. */
async function receive(
  id: string,
  behaviour: Behaviour,
  request: IncomingMessage,
  response: ServerResponse,
  token: string | undefined,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  const body = Buffer.concat(chunks);
  const { pathname } = new URL(request.url ?? '', 'http://hub');
  const json = (value: unknown): void => void response.writeHead(200, jsonHeaders).end(JSON.stringify(value));
  const stored = (behaviour.stored ??= new Map<string, Buffer>());
  if (request.method === 'PUT') {
    stored.set(pathname.slice('/lfs/'.length), body);
    response.writeHead(200).end();
    return;
  }
  if (token === undefined || behaviour.readOnly !== undefined) {
    response.writeHead(token === undefined ? 401 : 403, { 'X-Error-Message': behaviour.readOnly ?? 'no token' }).end();
    return;
  }
  if (pathname === '/api/repos/create') {
    const { name, organization, visibility } = JSON.parse(body.toString()) as Record<string, string | undefined>;
    if (`${organization}/${name}` !== id) response.writeHead(404).end();
    else if (behaviour.pushed) response.writeHead(409, { 'X-Error-Message': 'You already created this model' }).end();
    else {
      behaviour.pushed = { files: new Map(), visibility, title: '' };
      json({ url: `http://hub/${id}`, id });
    }
  } else if (pathname === `/api/models/${id}/preupload/main`) {
    const { files } = JSON.parse(body.toString()) as { files: readonly { readonly path: string }[] };
    json({ files: files.map(({ path }) => ({ path, uploadMode: isLarge(path) ? 'lfs' : 'regular' })) });
  } else if (pathname === `/${id}.git/info/lfs/objects/batch`) {
    const { objects } = JSON.parse(body.toString()) as { objects: readonly { readonly oid: string; size: number }[] };
    const href = (oid: string): string => `http://${request.headers.host}/lfs/${oid}`;
    json({
      transfer: 'basic',
      objects: objects.map(({ oid, size }) => ({ oid, size, actions: { upload: { href: href(oid) } } })),
    });
  } else if (pathname === `/api/models/${id}/commit/main` && behaviour.pushed) {
    for (const line of body.toString().split('\n')) {
      const { key, value } = JSON.parse(line) as { key: string; value: Record<string, string> };
      const { path = '', content = '', oid = '', summary = '' } = value;
      if (key === 'header') behaviour.pushed.title = summary;
      if (key === 'file') behaviour.pushed.files.set(path, Buffer.from(content, 'base64'));
      if (key === 'lfsFile') behaviour.pushed.files.set(path, stored.get(oid) ?? Buffer.alloc(0));
    }
    json({ commitOid: behaviour.commit, commitUrl: `http://hub/${id}/commit/${behaviour.commit}`, hookOutput: '' });
  } else response.writeHead(404).end();
}
