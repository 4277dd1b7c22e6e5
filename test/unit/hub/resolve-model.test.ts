import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { TrainEvent } from '../../../src/events.ts';
import { resolveModel, type ResolveModelOptions } from '../../../src/hub/resolve-model.ts';
import { type Behaviour, digestOf, type FakeHub, startFakeHub } from './fake-hub.ts';

const id = 'Someone/Sana_tiny_diffusers';
const commit = 'c'.repeat(40);
const small = [
  'model_index.json',
  'transformer/config.json',
  'vae/config.json',
  'text_encoder/config.json',
  'tokenizer/tokenizer.json',
  'tokenizer/tokenizer_config.json',
  'scheduler/scheduler_config.json',
];
const plain = ['transformer/diffusion_pytorch_model.safetensors', 'vae/diffusion_pytorch_model.safetensors'];
const shards = ['text_encoder/model-00001-of-00002.safetensors', 'text_encoder/model-00002-of-00002.safetensors'];
const index = 'text_encoder/model.safetensors.index.json';
const others = [
  'README.md',
  'transformer/diffusion_pytorch_model.fp16.safetensors',
  'transformer/diffusion_pytorch_model.bin',
  'checkpoints/Sana.pth',
];

/** Bytes that differ from place to place and from file to file. */
function content(path: string, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(`${path} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

function repository(): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const path of [...small, ...others]) files.set(path, content(path, 200));
  for (const path of [...plain, ...shards]) files.set(path, content(path, 300_000));
  const map = Object.fromEntries(shards.map((path, i) => [`weight ${i}`, path.replace('text_encoder/', '')]));
  files.set(index, Buffer.from(JSON.stringify({ weight_map: map })));
  return files;
}

let home = '';
let hub: FakeHub;
let behaviour: Behaviour;
let events: TrainEvent[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sana-train-hub-'));
  behaviour = { files: repository(), commit };
  hub = await startFakeHub(id, behaviour);
  events = [];
});
afterEach(async () => {
  await hub.close();
  await rm(home, { recursive: true, force: true });
});

async function resolve(
  model: Partial<Parameters<typeof resolveModel>[0]> = {},
  { env, ...options }: ResolveModelOptions = {},
): Promise<string> {
  const { folder } = await resolveModel(
    { path: id, ...model },
    {
      env: { HOME: home, HF_ENDPOINT: hub.url, ...env },
      retryDelays: [1, 1],
      busyDelays: [1],
      onProgress: (event) => events.push(event),
      ...options,
    },
  );
  return folder;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : 'no Error'),
  );
}

const cache = (...path: string[]): string =>
  join(home, '.cache/huggingface/hub/models--Someone--Sana_tiny_diffusers', ...path);

/** Whether a file has the hub's bytes; toEqual takes seconds for as many. */
async function isRight(folder: string, path: string): Promise<boolean> {
  return behaviour.files.get(path)?.equals(await readFile(join(folder, path))) ?? false;
}

async function listed(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /\.\w+$/.test(name)).sort();
}

describe('resolveModel', { timeout: 30_000 }, () => {
  it('downloads the files that a pipeline is opened with, and no others, as the libraries of Hugging Face keep them', async () => {
    const folder = await resolve();
    expect(folder).toBe(cache('snapshots', commit));
    expect(await listed(folder)).toEqual([...small, ...plain, ...shards, index].sort());
    for (const path of [...plain, ...shards, 'model_index.json']) {
      expect(await isRight(folder, path), path).toBe(true);
    }
    expect(await readFile(cache('refs', 'main'), 'utf8')).toBe(commit);
    const [weights = ''] = plain;
    const digest = digestOf(weights, behaviour.files.get(weights) ?? Buffer.of());
    expect(await readlink(join(folder, weights))).toBe(join('../../../blobs', digest));
    expect(await readdir(cache('blobs'))).toHaveLength(12);
  });

  it('tells how the download goes on', async () => {
    await resolve();
    expect(events[0]).toEqual({
      kind: 'log',
      message: `downloads ${id} (4 files, 1.2 MB) to ${join(home, '.cache/huggingface/hub')}`,
    });
    expect(events.at(-1)).toEqual({ kind: 'stage', stage: 'download', done: 2, total: 2, what: 'MB' });
  });

  it('takes the variant that is asked for, and the plain files of parts that have none', async () => {
    const folder = await resolve({ variant: 'fp16' });
    expect((await listed(folder)).filter((name) => name.startsWith('transformer'))).toEqual([
      'transformer/config.json',
      'transformer/diffusion_pytorch_model.fp16.safetensors',
    ]);
    expect(await refusal(resolve({ variant: 'bf16' }))).toBe(
      `UserError: ${hub.url}/${id} has no files of the variant bf16; it has fp16: use that, or leave the variant out.`,
    );
  });

  it('downloads nothing twice, and asks nothing for a commit that is here', async () => {
    await resolve();
    hub.requests.length = 0;
    await resolve();
    expect(hub.requests.filter((request) => request.includes('/resolve/'))).toEqual([]);
    hub.requests.length = 0;
    await resolve({ revision: commit });
    expect(hub.requests).toEqual([]);
  });

  it('needs no weights for configs alone, and says how much is missing', async () => {
    const options = { parts: 'configs', env: { HOME: home, HF_ENDPOINT: hub.url } } as const;
    const { folder, missingBytes } = await resolveModel({ path: id }, options);
    expect(missingBytes).toBe(1_200_000);
    expect(await listed(folder)).toEqual([...small, index].sort());
  });

  it('goes on where the connection broke', async () => {
    behaviour.breaks = { after: 100_000, times: 3 };
    const folder = await resolve();
    for (const path of plain) expect(await isRight(folder, path), path).toBe(true);
    expect(behaviour.breaks.times).toBe(0);
    expect((await readdir(cache('blobs'))).filter((name) => name.includes('incomplete'))).toEqual([]);
  });

  it('goes on with what an interrupted run left', async () => {
    const [weights = ''] = plain;
    const bytes = behaviour.files.get(weights) ?? Buffer.of();
    await mkdir(cache('blobs'), { recursive: true });
    await writeFile(cache('blobs', `${digestOf(weights, bytes)}.incomplete`), bytes.subarray(0, 250_000));
    // Less than is missing of any other file: only this one gets through.
    behaviour.breaks = { after: 60_000, times: 100 };
    expect(await refusal(resolve({}, { retryDelays: [] }))).toMatch(/cannot be reached/);
    expect(await isRight(cache('snapshots', commit), weights)).toBe(true);
  });

  it('begins again where a server sends the whole file for its end', async () => {
    behaviour.breaks = { after: 100_000, times: 1 };
    behaviour.ignoresRange = true;
    const folder = await resolve();
    for (const path of plain) expect(await isRight(folder, path), path).toBe(true);
  });

  it('downloads a damaged file once more, and then gives up', async () => {
    const [path = ''] = plain;
    behaviour.damaged = { path, times: 1 };
    const folder = await resolve();
    expect(await isRight(folder, path)).toBe(true);

    await rm(cache(), { recursive: true });
    behaviour.damaged = { path, times: 2 };
    expect(await refusal(resolve())).toMatch(
      /^UserError: \S+diffusion_pytorch_model.safetensors arrived damaged twice/,
    );
    expect((await readdir(cache('blobs'))).filter((name) => name.includes('incomplete'))).toEqual([]);
  });

  it('uses what is here when the hub cannot be reached, and says so', async () => {
    const folder = await resolve();
    await hub.close();
    events = [];
    expect(await resolve()).toBe(folder);
    expect(events).toEqual([
      {
        kind: 'warning',
        message: `${hub.url} cannot be reached; ${id} is used as it was when it was last downloaded (commit cccccccc).`,
      },
    ]);
    // What was never downloaded is not here.
    expect(await refusal(resolve({ revision: 'other' }))).toMatch(
      /^UserError: Someone\/Sana_tiny_diffusers is not on this machine, and http:\S+ cannot be reached \(ECONNREFUSED\); check the network/,
    );
  });

  it('asks nothing with HF_HUB_OFFLINE', async () => {
    const env = { HF_HUB_OFFLINE: '1' };
    expect(await refusal(resolve({}, { env }))).toBe(
      `UserError: HF_HUB_OFFLINE is set, and ${join(home, '.cache/huggingface/hub')} holds nothing of ${id}; leave it unset once, or name a model's folder.`,
    );
    expect(hub.requests).toEqual([]);
    const folder = await resolve();
    expect(await resolve({}, { env })).toBe(folder);
    await rm(join(folder, shards[1] ?? ''));
    expect(await refusal(resolve({}, { env }))).toContain('holds only a part of Someone/');
  });

  it('explains a gated repository, and gives the token', async () => {
    behaviour.gated = true;
    expect(await refusal(resolve())).toBe(
      `UserError: ${id} is gated; accept its conditions on ${hub.url}/${id}, make a token at ${hub.url}/settings/tokens and set HF_TOKEN to it.`,
    );
    behaviour.token = 'hf_right';
    expect(await refusal(resolve({}, { env: { HF_TOKEN: 'hf_wrong' } }))).toMatch(/refuses the token in HF_TOKEN; /);
    await mkdir(join(home, '.cache/huggingface'), { recursive: true });
    await writeFile(join(home, '.cache/huggingface/token'), 'hf_right\n');
    expect(await resolve()).toBe(cache('snapshots', commit));
    expect(await refusal(resolve({}, { env: { HF_TOKEN: 'secret' } }))).not.toContain('secret');
  });

  it('says what is not there, and what was probably meant', async () => {
    expect(await refusal(resolve({ path: 'Efficient-Large-Model/Sana_600M_512px' }))).toBe(
      `UserError: There is no folder Efficient-Large-Model/Sana_600M_512px, and ${hub.url} has no repository of that name (did you mean Efficient-Large-Model/Sana_600M_512px_diffusers?), or it is private: then set HF_TOKEN to a token that may read it.`,
    );
    expect(await refusal(resolve({ revision: 'mian' }))).toContain('has no revision "mian"; use a branch');
    expect(await refusal(resolve({ revision: '../../x' }))).toContain('The revision of');
    expect(await refusal(resolve({ path: 'sana-pcio' }))).toBe(
      'UserError: There is no folder sana-pcio, and it is no id of Hugging Face, which has the form OWNER/NAME. Did you mean sana-pico?',
    );
    expect(await refusal(resolve({ path: join(home, 'none') }))).toBe(
      `UserError: There is no folder ${join(home, 'none')}; check the path.`,
    );
    behaviour.files.delete('model_index.json');
    expect(await refusal(resolve())).toContain(
      "has no model_index.json, so it is no pipeline in diffusers' layout; use the repository of the same model whose name ends in _diffusers.",
    );
  });

  it('tries again when the hub is busy, and gives up', async () => {
    behaviour.busy = { status: 503, times: 1 };
    await resolve();
    behaviour.busy = { status: 429, times: 9 };
    expect(await refusal(resolve())).toMatch(/^UserError: http:\S+ has had too many requests/);
  });

  it('stops at once when it is asked to', async () => {
    const controller = new AbortController();
    const work = resolve({}, { signal: controller.signal, onProgress: () => controller.abort() });
    expect(await refusal(work)).toMatch(/^AbortError/);
  });

  it('writes nothing where a list of shards leads out of its folder', async () => {
    behaviour.files.set(index, Buffer.from(JSON.stringify({ weight_map: { a: '../../../evil.safetensors' } })));
    expect(await refusal(resolve())).toContain('which is not a safetensors file in its folder');
  });

  it('gives the bundled model and folders as they are', async () => {
    expect(await resolve({ path: home })).toBe(home);
    expect(await resolve({ path: 'sana-pico' })).toMatch(/models.sana-pico$/);
    expect(hub.requests).toEqual([]);
  });
});
