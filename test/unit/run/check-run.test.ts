import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { formatCheck } from '../../../src/cli/run-check.ts';
import { parseConfig } from '../../../src/config/load-config.ts';
import { checkRun, type RunCheck } from '../../../src/run/check-run.ts';
import type { Machine } from '../../../src/run/preflight.ts';
import { startFakeHub } from '../hub/fake-hub.ts';

const pipeline = join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'plain', 'pipeline');

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-check-'));
  await mkdir(join(folder, 'photos'));
  for (const [name, caption] of [
    ['a', 'a photo of sks dog'],
    ['b', `sks dog ${'again and '.repeat(20)}again`],
  ] as const) {
    await sharp({ create: { width: 96, height: 64, channels: 3, background: name === 'a' ? 'red' : 'blue' } })
      .png()
      .toFile(join(folder, 'photos', `${name}.png`));
    await writeFile(join(folder, 'photos', `${name}.txt`), caption);
  }
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

interface Changes {
  readonly model?: Readonly<Record<string, unknown>>;
  readonly dataset?: Readonly<Record<string, unknown>>;
  readonly train?: Readonly<Record<string, unknown>>;
  readonly lora?: Readonly<Record<string, unknown>>;
}

async function check(changes: Changes = {}, machine?: Machine): Promise<RunCheck> {
  const { config } = await parseConfig(
    {
      model: { path: pipeline, max_sequence_length: 24, complex_human_instruction: 'none', ...changes.model },
      dataset: { path: join(folder, 'photos'), resolution: 64, cache_dir: join(folder, 'cache'), ...changes.dataset },
      train: { max_train_steps: 10, ...changes.train },
      lora: { rank: 2, ...changes.lora },
      sample: { prompts: ['a photo of sks dog'] },
      run_dir: join(folder, 'run'),
    },
    { checkFiles: false },
  );
  return await checkRun(config, machine ? { machine } : {});
}

// Each opens a model and starts an engine, which takes seconds on a busy machine.
describe('checkRun', { timeout: 30_000 }, () => {
  it('finds what a run will do, and writes nothing', async () => {
    const found = await check();
    expect(found.problems).toEqual([]);
    expect(found.model).toMatchObject({ layers: 2, folder: pipeline, missingBytes: 0 });
    expect(found.dataset?.entries.map(({ status }) => status)).toEqual(['used', 'used']);
    expect(found.plan).toEqual({ perEpoch: 2, maxTrainSteps: 10, step: 0 });
    expect(found.captions).toMatchObject({ longest: 24, limit: 24, truncated: [{ lost: expect.any(Number) }] });
    expect(found.estimate?.seconds.train).toBeGreaterThan(0);
    expect(found.estimate?.gigaflops).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual(['photos']);
  });

  it('finds all problems at once', async () => {
    await writeFile(join(folder, 'run'), 'a file');
    const { problems, dataset } = await check({
      model: { path: join(folder, 'nowhere') },
      dataset: { path: join(folder, 'none') },
    });
    expect(problems).toEqual([
      `${join(folder, 'run')} cannot be made, since ${join(folder, 'run')} is a file; choose another folder.`,
      expect.stringContaining(join(folder, 'nowhere')),
      expect.stringContaining(join(folder, 'none')),
    ]);
    expect(dataset).toBeUndefined();
  });

  it('finds a shape that is not the model\u2019s, and layers that it does not have', async () => {
    const { problems } = await check({ lora: { target_modules: ['to_x'] } });
    expect(problems).toEqual([expect.stringContaining('to_x')]);
  });

  it('finds that the disk is too small', async () => {
    const machine: Machine = {
      availableMemory: 1e12,
      memory: 1e12,
      disk: () => Promise.resolve({ free: 100, id: 1 }),
    };
    const { problems } = await check({}, machine);
    expect(problems).toEqual([expect.stringMatching(/^The run writes about/)]);
  });
});

describe('checkRun of a model that is not downloaded', { timeout: 30_000 }, () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('downloads its small files alone, and says how much is missing and whether it fits', async () => {
    const names = (await readdir(pipeline, { recursive: true })).filter((name) => /\.\w+$/.test(name));
    const files = await Promise.all(
      names.map(async (name) => [name.replaceAll('\\', '/'), await readFile(join(pipeline, name))] as const),
    );
    const hub = await startFakeHub('Someone/Sana_tiny', { files: new Map(files), commit: 'c'.repeat(40) });
    vi.stubEnv('HF_ENDPOINT', hub.url);
    vi.stubEnv('HF_HOME', join(folder, 'hf'));
    try {
      const found = await check({ model: { path: 'Someone/Sana_tiny' } });
      expect(found.problems).toEqual([]);
      expect(found.model?.missingBytes).toBeGreaterThan(100_000);
      expect(found.captions?.texts).toBeGreaterThan(2);
      expect(found.estimate?.memory.train).toBeGreaterThan(1e8);
      expect(hub.requests.filter((request) => request.includes('safetensors'))).toEqual([]);
      const full: Machine = { availableMemory: 1e12, memory: 1e12, disk: () => Promise.resolve({ free: 5000, id: 1 }) };
      const { problems } = await check({ model: { path: 'Someone/Sana_tiny' } }, full);
      expect(problems[0]).toMatch(
        /^Someone\/Sana_tiny takes \d+ kB more in .*hub, and 5.0 kB are free; free some space/,
      );
    } finally {
      await hub.close();
    }
  });
});

describe('formatCheck', { timeout: 30_000 }, () => {
  it('says what was found, and whether the run can start', async () => {
    const text = formatCheck(await check(), 'mine', false).replaceAll(/\d+(\.\d+)? (GFLOP|[kM]?B\b)/g, 'N $2');
    expect(text).toContain('model\n  mine: 2 layers, ');
    expect(text).toContain('pictures\n  2 pictures used\n');
    expect(text).toMatch(/too long by \d+ tokens: "sks dog again and/);
    expect(text).toContain('training\n  10 steps; an epoch has 2 batches, so about 5 epochs\n');
    expect(text.trimEnd().split('\n').at(-1)).toBe('The run can start.');
    const failed = formatCheck({ problems: ['No.'], warnings: ['Hm.'] }, 'mine', false);
    expect(failed).toBe('warnings\n  Hm.\n\nproblems\n  No.\n\nThe run cannot start.\n');
  });
});
