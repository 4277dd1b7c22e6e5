import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { decodeForModels } from '../../../src/caption/decode-for-models.ts';
import { createTransformersClient, type TransformersClient } from '../../../src/caption/transformers-client.ts';
import { UserError } from '../../../src/errors.ts';

const goldens = join(import.meta.dirname, '../metrics/goldens');

let client: TransformersClient | undefined;
let server: Server | undefined;
afterEach(() => {
  client?.close();
  server?.closeAllConnections();
  server?.close();
});

/** A hub with one model, the tiny CLIP. */
async function startHub(): Promise<{ readonly host: string; readonly asked: string[] }> {
  const asked: string[] = [];
  server = createServer((request, response) => {
    void (async () => {
      const [, file] = /^\/owner\/clip\/resolve\/main\/([\w./-]+)$/.exec(request.url ?? '') ?? [];
      asked.push(file ?? request.url ?? '');
      try {
        const bytes = await readFile(join(goldens, 'clip', file ?? 'none'));
        response.writeHead(200, { 'content-length': bytes.byteLength }).end(request.method === 'HEAD' ? '' : bytes);
      } catch {
        response.writeHead(404).end();
      }
    })();
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

describe('createTransformersClient', () => {
  it('downloads a model once, rates in a process of its own, and tells what is wrong as a sentence', async () => {
    const { host, asked } = await startHub();
    const cacheDir = await mkdtemp(join(tmpdir(), 'hub-'));
    const picture = await decodeForModels(await readFile(join(goldens, 'waves.png')));
    const rate = async (remote: boolean): Promise<number | undefined> => {
      const opened = createTransformersClient({ remote, host, cacheDir, threads: 1 });
      client = opened;
      await opened.load('clip', 'owner/clip', 'fp32');
      const ratings = await Promise.all(
        ['a teal dog', 'a fox'].map((text) =>
          opened.score('owner/clip', { hash: 'a', picture, texts: [text] }, 'best'),
        ),
      );
      return ratings[0]?.[0]?.score;
    };
    const score = await rate(true);
    const golden = JSON.parse(await readFile(join(goldens, 'clip-scores.json'), 'utf8')) as { scores: number[][] };
    expect(score).toBeCloseTo(golden.scores[0]?.[0] ?? 0, 4);
    expect(asked).toContain('onnx/vision_model.onnx');
    expect(await readdir(join(cacheDir, 'owner', 'clip'))).toContain('config.json');
    await expect(client?.load('captioner', 'owner/clip', 'auto')).rejects.toThrow(UserError);
    client?.close();

    const before = asked.length;
    expect(await rate(false)).toBe(score);
    expect(asked).toHaveLength(before);
  }, 60_000);

  it('fails what waits when it is closed', async () => {
    client = createTransformersClient({ remote: false, host: 'http://127.0.0.1:9', cacheDir: '/nowhere' });
    const loading = client.load('clip', join(goldens, 'clip'), 'fp32');
    client.close();
    await expect(loading).rejects.toThrow('the captioners were closed');
    await expect(
      client.caption('x', { data: new Uint8Array(3), width: 1, height: 1 }, { maxNewTokens: 1 }),
    ).rejects.toThrow('the captioners were closed');
  });
});
