import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';

import { describeFolder, pathFrom, runInit, trainedSize } from '../../../src/cli/run-init.ts';
import { starterConfig, suggestedSteps } from '../../../src/cli/starter-config.ts';
import { parseConfig } from '../../../src/config/load-config.ts';

const options = {
  docs: '../docs',
  path: '../photos: the best/#1',
  folder: { pictures: 7, captioned: 0, transparent: 0, side: 1500 },
  instancePrompt: 'a photo of sks dog: "Rex"',
  triggerWord: 'sks',
};

describe('starterConfig', () => {
  it.each([
    'sana-pico',
    'Efficient-Large-Model/Sana_600M_512px_diffusers',
    'Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers',
    '/models/mine',
  ])('for %s loads without a warning', async (model) => {
    const text = starterConfig({ ...options, model });
    const { config, warnings } = await parseConfig(parse(text), { checkFiles: false });
    expect(warnings).toEqual([]);
    expect(config.model.path).toBe(model);
    expect(config.dataset.sources[0]?.path).toBe(join(process.cwd(), '..', 'photos: the best', '#1'));
    expect(config.dataset.sources[0]?.instance_prompt).toBe(options.instancePrompt);
    expect(config.train.max_train_steps).toBe(700);
  });

  it('names the schema for editors in its first line', () => {
    const [first] = starterConfig({ ...options, model: 'sana-pico' }).split('\n');
    expect(first).toBe('# yaml-language-server: $schema=../docs/config.schema.json');
  });
});

describe('starterConfig for what is in the folder', () => {
  const model = 'Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers';
  const configOf = async (folder: Partial<typeof options.folder>, size = 1024) => {
    const text = starterConfig({ ...options, model, size, folder: { ...options.folder, ...folder } });
    const { config, warnings } = await parseConfig(parse(text), { checkFiles: false });
    expect(warnings).toEqual([]);
    return { text, source: config.dataset.sources[0], dataset: config.dataset };
  };

  it('halves the resolution where most pictures are much smaller than the model\u2019s', async () => {
    expect((await configOf({ side: 1000 })).source?.resolution).toBe('auto');
    expect((await configOf({ side: 600 })).source?.resolution).toEqual([512]);
    const small = await configOf({ side: 300 }, 512);
    expect(small.source?.resolution).toBe('auto');
    expect(small.text).toContain("# Most pictures are smaller than the model's 512 x 512");
  });

  it('holds pictures out where there are many', async () => {
    expect((await configOf({ pictures: 29 })).dataset.validation_count).toBe(0);
    expect((await configOf({ pictures: 45 })).dataset.validation_count).toBe(5);
  });

  it('mentions transparent pictures', async () => {
    expect((await configOf({ transparent: 3 })).text).toContain('# mask: alpha # 3 have transparent parts');
  });

  it('takes captions for samples where no prompt is needed', async () => {
    const { instancePrompt: _, ...rest } = options;
    const text = starterConfig({ ...rest, model, captions: ['a: b', 'c', 'd'] });
    const { config } = await parseConfig(parse(text), { checkFiles: false });
    expect(config.sample.prompts.map(({ prompt }) => prompt)).toEqual(['a: b', 'c']);
    expect(config.dataset.sources[0]?.instance_prompt).toBeNull();
  });
});

describe('trainedSize', () => {
  it('is told by names and folders', async () => {
    expect(await trainedSize('Efficient-Large-Model/Sana_600M_512px_diffusers')).toBe(512);
    expect(await trainedSize('Efficient-Large-Model/Sana_1600M_4Kpx_BF16_diffusers')).toBe(4096);
    expect(await trainedSize('someone/else')).toBeUndefined();
    expect(await trainedSize(join(import.meta.dirname, '../../parity/goldens/plain/pipeline'))).toBe(32);
  });
});

describe('runInit', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sana-train-init-'));
    await mkdir(join(folder, 'rex'));
    for (const [name, background] of [
      ['a', 'red'],
      ['b', 'blue'],
      ['c', 'green'],
    ] as const) {
      const picture = sharp({ create: { width: 700, height: 400, channels: 3, background } });
      await picture.png().toFile(join(folder, 'rex', `${name}.png`));
    }
    await writeFile(join(folder, 'rex', 'a.txt'), 'a photo of sks dog');
    await writeFile(join(folder, 'rex', 'broken.jpg'), 'no picture');
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true });
  });

  async function init(out: string): Promise<string> {
    let said = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    await runInit(join(folder, 'rex'), { model: 'someone/else', word: 'sks', out });
    return said.replaceAll(folder, '');
  }

  it('writes a config and says what it found', async () => {
    const path = join(folder, 'configs', 'rex.yaml');
    const said = await init(path);
    expect(said).toContain('3 pictures used, 1 file left out\n');
    expect(said).toContain('left out  rex/broken.jpg: ');
    expect(said).toContain('1 of 3 have captions; half of them have 529 x 529 pixels or more\n');
    expect(said).toContain('Say in instance_prompt what they show, such as "a photo of sks dog".\n');
    expect(await readFile(path, 'utf8')).toContain('  path: ../rex # 3 pictures\n');
  });

  it('never overwrites a file', async () => {
    const path = join(folder, 'rex.yaml');
    await writeFile(path, 'mine');
    await expect(init(path)).rejects.toThrow(/exists already, and is not overwritten; name another file with --out\.$/);
    expect(await readFile(path, 'utf8')).toBe('mine');
  });
});

describe('describeFolder', () => {
  it('counts what is used alone', () => {
    expect(describeFolder({ entries: [], notes: [] })).toEqual({ pictures: 0, captioned: 0, transparent: 0, side: 0 });
  });
});

describe('suggestedSteps', () => {
  it('is 100 a picture, from 300 to 2000', () => {
    expect([1, 5, 12, 500].map(suggestedSteps)).toEqual([300, 500, 1200, 2000]);
  });
});

describe.skipIf(process.platform === 'win32')('pathFrom', () => {
  it('goes up a few folders, but not to the root', () => {
    expect(pathFrom('/a/configs', '/a/photos')).toBe('../photos');
    expect(pathFrom('/a', '/a')).toBe('.');
    expect(pathFrom('/a/b/c/d/e', '/z/photos')).toBe('/z/photos');
  });
});
