import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { afterEach, describe, expect, it } from 'vitest';

import { createOpenaiCaptioner } from '../../../src/caption/openai-captioner.ts';
import { postJson } from '../../../src/caption/post-json.ts';

const servers: Pick<Server, 'close' | 'closeAllConnections'>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function urlOf(answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(answer))}/`;
}

const options = { headers: {}, timeoutSeconds: 5 };

/** Posts from a process of its own, whose environment Node reads as it starts; prints the answer or the error's code. */
async function postElsewhere(url: string, env: Readonly<Record<string, string>>): Promise<string> {
  const code = `import { postJson } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../../src/caption/post-json.ts')).href)};
    const said = await postJson(${JSON.stringify(url)}, '{}', { headers: {}, timeoutSeconds: 5 }).catch((error) => error);
    process.stdout.write(said.text ?? said.code ?? String(said));`;
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', loader, '--input-type=module', '--eval', code],
    { env: { ...process.env, ...env } },
  );
  return stdout;
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('postJson', () => {
  it('reads an answer that comes in pieces, letters cut in two', async () => {
    const url = await urlOf((_, response) => {
      const bytes = Buffer.from('{"a": "füchse 狐"}');
      response.writeHead(201, { 'x-of': 'a server' });
      bytes.forEach((_byte, i) => setTimeout(() => response.write(bytes.subarray(i, i + 1)), 5 * i));
      setTimeout(() => response.end(), 5 * bytes.length + 20);
    });
    const { status, headers, text } = await postJson(url, '{}', options);
    expect([status, headers['x-of'], text]).toEqual([201, 'a server', '{"a": "füchse 狐"}']);
  });

  it('has no more time for a body that trickles than for one that does not come', async () => {
    const url = await urlOf((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(timer));
    });
    const begun = performance.now();
    await expect(postJson(url, '{}', { ...options, timeoutSeconds: 0.3 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it('does not read an answer without an end', async () => {
    const url = await urlOf((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('.'.repeat(2 ** 20)));
      };
      response.on('drain', more);
      more();
    });
    await expect(postJson(url, '{}', options)).rejects.toThrow('its answer is longer than 16 MiB');
  });

  it('fails when the connection ends in the middle of the answer', async () => {
    const url = await urlOf((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half of ');
      setTimeout(() => response.destroy(), 30);
    });
    await expect(postJson(url, '{}', options)).rejects.toThrow(/aborted|ECONNRESET/);
  });

  it('does not follow a redirect', async () => {
    let asked = 0;
    const url = await urlOf((_, response) => {
      asked++;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await postJson(url, '{}', options)).toMatchObject({ status: 307, headers: { location: '/elsewhere' } });
    expect(asked).toBe(1);
  });

  it.runIf(hasOpenssl())('trusts the certificate that NODE_EXTRA_CA_CERTS names, and no other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sana-https-'));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...curve, ...names, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    const answer = (_: IncomingMessage, response: ServerResponse): unknown => response.end('by https');
    const server = createSecureServer({ key: await readFile(key), cert: await readFile(certificate) }, answer);
    const url = `https://127.0.0.1:${await listen(server)}/`;
    await expect(postJson(url, '{}', options)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(await postElsewhere(url, { NODE_EXTRA_CA_CERTS: certificate })).toBe('by https');

    const caption = createOpenaiCaptioner({
      baseUrl: url,
      model: 'llava',
      temperature: 0,
      maxNewTokens: 9,
      maxImageSize: 64,
      maxConcurrentRequests: 1,
      timeoutSeconds: 5,
      maxRetries: 3,
    });
    const path = join(import.meta.dirname, '../metrics/goldens/waves.png');
    const pixels = (): Promise<never> => Promise.reject(new Error('a server gets the file'));
    const picture = { id: 'a', path, hash: 'a', pixels, existing: [], triggerWord: '' };
    await expect(caption(picture)).rejects.toMatchObject({
      isLasting: true,
      message: expect.stringMatching(/self-signed certificate; set NODE_EXTRA_CA_CERTS/) as string,
    });
    await rm(folder, { recursive: true });
  });

  // Node 22.21, 24.5 and later.
  it.runIf(process.allowedNodeEnvironmentFlags.has('--use-env-proxy'))(
    "goes by the proxy of the environment when Node's own switch says so",
    async () => {
      const proxied: string[] = [];
      const proxy = createServer((request, response) => {
        proxied.push(request.url ?? '');
        response.end('by the proxy');
      });
      const url = await urlOf((_, response) => response.end('direct'));
      const env = { HTTP_PROXY: `http://127.0.0.1:${await listen(proxy)}`, NO_PROXY: '', no_proxy: '' };
      expect(await postElsewhere(url, { ...env, NODE_USE_ENV_PROXY: '1' })).toBe('by the proxy');
      expect(proxied).toEqual([url]);
      expect(await postElsewhere(url, { ...env, NODE_USE_ENV_PROXY: '1', NO_PROXY: '127.0.0.1' })).toBe('direct');
      expect(await postElsewhere(url, env)).toBe('direct');
    },
  );
});
