import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../../src/io/safetensors.ts';
import { createRandom } from '../../src/random.ts';
import { adapterOf, tinyRun, train } from './training.ts';

const steps = 10;
// More for a soak: KILLS=50 npx vitest run test/e2e/train.test.ts
const kills = Number(process.env['KILLS'] ?? 6);

let folder = '';
let config = '';
let whole: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-e2e-'));
  config = await tinyRun(folder, { steps });
  const { exitCode, stderr } = await train(config, { runDir: join(folder, 'whole') });
  if (exitCode !== 0 || stderr !== '') throw new Error(`the first run ended with ${exitCode}: ${stderr}`);
  whole = await adapterOf(join(folder, 'whole'));
}, 120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sana-train CONFIG', () => {
  it('leaves a run folder with config, events, samples of every step, grids and checkpoints within the limit', async () => {
    const runDir = join(folder, 'whole');
    expect((await readdir(runDir)).sort()).toEqual([
      'adapter',
      'checkpoints',
      'config.yaml',
      'events.jsonl',
      'report.html',
      'samples',
    ]);
    expect((await readdir(join(runDir, 'checkpoints'))).sort()).toEqual(['step-10', 'step-9']);
    expect((await readdir(join(runDir, 'samples', '1'))).sort()).toEqual([
      'step-000000.png',
      'step-000004.png',
      'step-000008.png',
      'step-000010.png',
    ]);
    expect(await readdir(join(runDir, 'samples'))).toContain('1.png');
    const { tensors, metadata } = await openSafetensors(join(runDir, 'adapter', 'pytorch_lora_weights.safetensors'));
    expect(tensors.size).toBe(2 * 2 * 3 * 2); // layers x attentions x (q, k, v) x (A, B)
    expect(metadata['lora_adapter_metadata']).toContain('"transformer.r":2');
  });

  it('makes the same adapter again from the same config, bit for bit', async () => {
    const { exitCode } = await train(config, { runDir: join(folder, 'again') });
    expect(exitCode).toBe(0);
    expect(Buffer.compare(await adapterOf(join(folder, 'again')), whole)).toBe(0);
  });

  it.skipIf(process.platform === 'win32')(
    'saves and exits 130 on Ctrl-C, and goes on to the same adapter',
    async () => {
      const runDir = join(folder, 'interrupted');
      const { exitCode, stdout } = await train(config, { runDir, kill: { signal: 'SIGINT', when: /step +5\/10/ } });
      expect(exitCode).toBe(130);
      expect(stdout).toMatch(/stopped at step \d+: saved/);
      const second = await train(config, { runDir });
      expect(second.exitCode).toBe(0);
      expect(second.stdout).toContain('goes on from');
      expect(Buffer.compare(await adapterOf(runDir), whole)).toBe(0);
    },
  );

  it(
    'comes to the same adapter after being killed again and again',
    async () => {
      const runDir = join(folder, 'killed');
      // A cache of its own: it is killed while that is filled, too, and what is missing then is encoded by itself.
      const args = ['--set', `dataset.cache_dir=${join(folder, 'killed-cache')}`];
      const random = createRandom('kills');
      for (let i = 0; i < kills; i++) {
        const { exitCode } = await train(config, {
          runDir,
          args,
          kill: { signal: 'SIGKILL', after: 400 + 1800 * random.uniform() },
        });
        if (exitCode === 0) await rm(join(runDir), { recursive: true, force: true });
      }
      const { exitCode, stderr } = await train(config, { runDir, args });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      expect(Buffer.compare(await adapterOf(runDir), whole)).toBe(0);
    },
    60_000 + kills * 10_000,
  );

  it('refuses to go on with a config that makes another run, naming what changed', async () => {
    const { exitCode, stderr } = await train(config, { runDir: join(folder, 'whole'), args: ['--set', 'lora.rank=4'] });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/lora.rank was 2 and is 4/);
  });

  it('refuses a folder that holds a run with --resume never', async () => {
    const { exitCode, stderr } = await train(config, { runDir: join(folder, 'whole'), args: ['--resume', 'never'] });
    expect({ exitCode, sentence: stderr.includes('holds a run already') }).toEqual({ exitCode: 1, sentence: true });
  });

  it('refuses a run folder that another process uses', async () => {
    const runDir = join(folder, 'locked');
    await mkdir(runDir, { recursive: true });
    const { hostname } = await import('node:os');
    await writeFile(join(runDir, '.lock'), JSON.stringify({ pid: process.pid, host: hostname(), since: 'now' }));
    const { exitCode, stderr } = await train(config, { runDir });
    expect({ exitCode, sentence: /is in use by process \d+/.test(stderr) }).toEqual({ exitCode: 1, sentence: true });
  });

  it('refuses a checkpoint that was cut short', async () => {
    const runDir = join(folder, 'cut');
    await train(config, { runDir, kill: { signal: 'SIGKILL', when: /saved .*step-3/ } });
    const path = join(runDir, 'checkpoints', 'step-3', 'optimizer.safetensors');
    await writeFile(path, (await readFile(path)).subarray(0, 200));
    const { exitCode, stderr } = await train(config, { runDir });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/optimizer\.safetensors is truncated/);
  });
});
