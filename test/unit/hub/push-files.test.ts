import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { pushFiles, pushObstacle, type PushOptions } from '../../../src/hub/push-files.ts';
import { type Behaviour, type FakeHub, startFakeHub } from './fake-hub.ts';

const id = 'me/dog-sana';
const token = 'hf_writes';
const adapter = createHash('sha512').update('adapter').digest();

let folder = '';
let hub: FakeHub;
let behaviour: Behaviour;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-push-'));
  behaviour = { files: new Map(), commit: 'c'.repeat(40), token };
  hub = await startFakeHub(id, behaviour);
  await writeFile(join(folder, 'weights.safetensors'), adapter);
  await writeFile(join(folder, 'README.md'), '# Dog');
});
afterEach(async () => {
  await hub.close();
  await rm(folder, { recursive: true });
});

function push(
  to = id,
  env: Record<string, string> = { HF_TOKEN: token },
  more: Partial<PushOptions> = {},
): Promise<string> {
  const files = ['weights.safetensors', 'README.md'].map((name) => ({ path: join(folder, name), name: `a/${name}` }));
  const access = { HF_ENDPOINT: hub.url, HF_HOME: folder, ...env };
  return pushFiles(to, files, { title: 'Add a dog', env: access, busyDelays: [1], ...more });
}

describe('pushFiles', () => {
  it('makes the repository and commits all files to it', async () => {
    expect(await push()).toBe(`${hub.url}/${id}`);
    expect(behaviour.pushed).toEqual({
      title: 'Add a dog',
      visibility: undefined,
      files: new Map([
        ['a/weights.safetensors', adapter],
        ['a/README.md', Buffer.from('# Dog')],
      ]),
    });
  });

  it('makes it private when asked, and pushes again to one that is there', async () => {
    await push(id, { HF_TOKEN: token }, { isPrivate: true });
    await writeFile(join(folder, 'README.md'), '# Older dog');
    await push();
    expect(behaviour.pushed?.visibility).toBe('private');
    expect(behaviour.pushed?.files.get('a/README.md')?.toString()).toBe('# Older dog');
  });

  it('asks a busy hub again', async () => {
    behaviour.busy = { status: 503, times: 1 };
    await push();
    expect(behaviour.pushed?.files.size).toBe(2);
  });

  it('says that a token is missing, refused, or may not write there', async () => {
    await expect(push(id, {})).rejects.toThrow(
      `There is no token to push to ${hub.url} with; make one that may write at ${hub.url}/settings/tokens and set HF_TOKEN to it.`,
    );
    await expect(push(id, { HF_TOKEN: 'hf_old' })).rejects.toThrow(
      `${hub.url} refuses the token in HF_TOKEN; make a new one`,
    );
    await expect(push('you/dog')).rejects.toThrow(
      'The token in HF_TOKEN may not write to you/dog (it answered 404); check',
    );
    behaviour.readOnly = 'Forbidden: pass a token with write rights';
    await expect(push()).rejects.toThrow(
      'The token in HF_TOKEN may not write to me/dog-sana (it says: Forbidden: pass a token with write rights); check the',
    );
    expect(behaviour.pushed).toBeUndefined();
  });

  it('says that the hub cannot be reached, or may not be', async () => {
    await expect(push(id, { HF_TOKEN: token, HF_ENDPOINT: 'http://127.0.0.1:9' })).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:9 cannot be reached( \(.+\))?; check the network\.$/,
    );
    await expect(push(id, { HF_TOKEN: token, HF_HUB_OFFLINE: '1' })).rejects.toThrow('HF_HUB_OFFLINE is set');
    behaviour.busy = { status: 500, times: 5 };
    await expect(push()).rejects.toThrow('has a problem of its own (it answered 500); try again later.');
  });

  it('names a file that is gone', async () => {
    await rm(join(folder, 'README.md'));
    await expect(push()).rejects.toThrow(/README\.md/);
  });
});

describe('pushObstacle', () => {
  it('is what keeps a push from working, before a run spends hours', async () => {
    expect(await pushObstacle({ HF_HOME: folder })).toMatch(/^There is no token/);
    expect(await pushObstacle({ HF_HOME: folder, HF_TOKEN: token })).toBeUndefined();
    expect(await pushObstacle({ HF_HOME: folder, HF_TOKEN: token, HF_HUB_OFFLINE: '1' })).toMatch(/^HF_HUB_OFFLINE/);
  });
});
