import { join } from 'node:path';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { pathFrom } from '../../../src/cli/commands/init.ts';
import { starterConfig, suggestedSteps } from '../../../src/cli/starter-config.ts';
import { parseConfig } from '../../../src/config/load-config.ts';

const options = {
  docs: '../docs',
  path: '../photos: the best/#1',
  pictures: 7,
  captioned: 0,
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
