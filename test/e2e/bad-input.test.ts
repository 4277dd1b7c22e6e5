import { cp, mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapterOf, tinyRun, train } from './training.ts';

const goldens = join(import.meta.dirname, '..', 'parity', 'goldens');
// Short, without pictures: what is looked at is how a run begins.
const short = ['train.max_train_steps=2', 'train.checkpointing_steps=0', 'sample.every=0', 'sample.prompts=[]'];

let folder = '';
let config = '';

/** Arguments that set options. */
function set(...options: readonly string[]): string[] {
  return [...short, 'log.report=false', ...options].flatMap((option) => ['--set', option]);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-bad-'));
  config = await tinyRun(folder, { steps: 2 });
  const photos = join(folder, 'photos');
  await writeFile(join(photos, 'broken.png'), 'not a picture');
  await cp(join(photos, '0.png'), join(photos, 'silent.png'));
  await writeFile(join(photos, 'silent.txt'), '\n');
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a mistake ends the run with a sentence, without a stack', () => {
  const cases: readonly (readonly [
    what: string,
    args: () => Promise<readonly string[]> | readonly string[],
    sentence: RegExp,
  ])[] = [
    ['an unknown key', () => set('train.max_train_step=3'), /train\.max_train_step.*max_train_steps/],
    ['a wrong type', () => set('lora.rank=many'), /lora\.rank.*many.*whole number/],
    ['a value out of range', () => set('lora.dropout=2'), /lora\.dropout.*2.*from 0 to 1/],
    [
      'no pictures',
      async () => {
        await mkdir(join(folder, 'empty'));
        return set(`dataset.path=${join(folder, 'empty')}`);
      },
      /There are no pictures in .*empty; put jpeg/,
    ],
    ['no such folder of pictures', () => set(`dataset.path=${join(folder, 'nowhere')}`), /nowhere/],
    ['a missing model', () => set(`model.path=${join(folder, 'no-model')}`), /no-model/],
    [
      'a model with a part missing',
      async () => {
        await cp(join(goldens, 'plain', 'pipeline'), join(folder, 'half'), { recursive: true });
        await rm(join(folder, 'half', 'vae'), { recursive: true });
        return set(`model.path=${join(folder, 'half')}`);
      },
      /half.*vae/,
    ],
    [
      'a model of another class',
      async () => {
        await mkdir(join(folder, 'other'));
        await writeFile(
          join(folder, 'other', 'model_index.json'),
          JSON.stringify({ _class_name: 'StableDiffusionPipeline' }),
        );
        return set(`model.path=${join(folder, 'other')}`);
      },
      /StableDiffusionPipeline.*SanaPipeline/,
    ],
    ['a run folder that cannot be made', () => set(`run_dir=${join(config, 'run')}`), /tiny\.yaml.*is a file/],
    ['a cache that cannot be made', () => set(`dataset.cache_dir=${join(config, 'cache')}`), /tiny\.yaml.*is a file/],
    ['an adapter to go on from that is none', () => set(`lora.init_from=${config}`), /tiny\.yaml/],
    [
      'a checkpoint that is not there',
      () => [...set(), '--resume', join(folder, 'gone', 'step-3')],
      /gone.step-3.*there is no such file/,
    ],
  ];

  it.each(cases)('%s', async (_what, args, sentence) => {
    const { exitCode, stderr } = await train(config, { args: await args() });
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toMatch(/^\s+at |bug in sana-train/m);
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
    expect(exitCode).toBe(1);
  });
});

describe('what a run can mend', () => {
  it('pictures and captions that cannot be used are listed; what the cache lost is made again', async () => {
    const [clean, mended] = [join(folder, 'clean'), join(folder, 'mended')];
    const first = await train(config, { runDir: clean, args: set() });
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    expect(first.stdout).toMatch(/left out {2}photos\/broken\.png: /);
    expect(first.stdout).toMatch(/used {2}photos\/silent\.png: Its caption is empty/);

    const cache = join(folder, 'cache');
    await mkdir(join(cache, 'v0'));
    const entries = (await readdir(cache, { recursive: true })).filter((name) => name.endsWith('.safetensors'));
    for (const name of entries) {
      const file = await open(join(cache, name), 'r+');
      const { size } = await file.stat();
      await file.truncate(size - 1);
      await file.close();
    }
    const second = await train(config, { runDir: mended, args: set() });
    expect(second).toMatchObject({ exitCode: 0, stderr: '' });
    expect(second.stdout).toMatch(/warning: The cache .* another version of sana-train \(v0\)/);
    expect(second.stdout).toMatch(/warning: A cache entry was damaged and is made again/);
    // Bit for bit, although what is damaged is found, and made again, one at a time.
    expect(Buffer.compare(await adapterOf(mended), await adapterOf(clean))).toBe(0);
  });

  it('tells which changed options count when a run goes on, and refuses a checkpoint of another model', async () => {
    const runDir = join(folder, 'clean');
    const longer = await train(config, { runDir, args: set('train.max_train_steps=3', 'train.learning_rate=5e-4') });
    expect(longer).toMatchObject({ exitCode: 0, stderr: '' });
    expect(longer.stdout).toContain('from here on: train.max_train_steps was 2 and is 3');
    expect(longer.stdout).toContain('from here on: train.learning_rate was 0.001 and is 0.0005');

    const model = `model.path=${join(goldens, 'affine', 'pipeline')}`;
    const other = await train(config, {
      runDir: join(folder, 'other-run'),
      args: [...set(model), '--resume', join(runDir, 'checkpoints', 'step-2')],
    });
    expect(other.stderr).toMatch(/step-2 cannot be gone on from.*another base model/);
    expect(other.exitCode).toBe(1);
  });
});
