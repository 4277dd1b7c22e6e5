import { describe, expect, it } from 'vitest';

import {
  adapterOptions,
  classDatasetOptions,
  datasetOptions,
  optimizerOptions,
  pictureRequests,
  scheduleOptions,
  timestepOptions,
} from '../../../src/config/options.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import { optimizerNames } from '../../../src/optim/optimizer.ts';
import { createSchedule } from '../../../src/optim/schedules.ts';
import { load, minimal } from './config-file.ts';

describe('optimizerOptions', () => {
  it.each(optimizerNames)('makes %s', async (name) => {
    const { config } = await load(`${minimal}train: { optimizer: ${name} }`);
    const options = optimizerOptions(config.train);
    expect(createOptimizer(options).name).toBe(name);
    // null stands for the optimizer's own default and must not get there.
    expect(Object.values(options)).not.toContain(null);
  });
});

describe('scheduleOptions', () => {
  it('warms up and decays', async () => {
    const { config } = await load(`${minimal}train: { lr_scheduler: linear, lr_warmup_steps: 2, learning_rate: 1e-3 }`);
    const schedule = createSchedule(scheduleOptions(config.train, 4));
    expect([0, 1, 2, 3, 4].map(schedule)).toEqual([0, 5e-4, 1e-3, 5e-4, 0]);
  });
});

describe('timestepOptions', () => {
  it("takes the model's shift unless there is one", async () => {
    const { config } = await load(minimal);
    expect(timestepOptions(config.train, 4)).toMatchObject({ sampling: 'sana', flowShift: 4 });
    const own = await load(`${minimal}train: { flow_shift: 1.5, weighting_scheme: none }`);
    expect(timestepOptions(own.config.train, 4)).toMatchObject({ sampling: 'none', flowShift: 1.5 });
  });
});

describe('datasetOptions', () => {
  it('translates a source', async () => {
    const { config } = await load(`model: sana-pico
dataset: { path: ../photos, background_color: "#ff8000", center_crop: false, aspect_ratio_buckets: false, mask: alpha }
`);
    expect(datasetOptions(config.dataset, 256)).toEqual([
      expect.objectContaining({
        resolutions: [256],
        background: [255, 128, 0],
        crop: 'random',
        square: true,
        mask: 'alpha',
        dropout: 0.1,
      }),
    ]);
  });
});

describe('pictureRequests', () => {
  it('counts seeds up', async () => {
    const { config } = await load(
      `${minimal}sample: { prompts: [{ prompt: a, seed: 7, width: 64 }], num_images_per_prompt: 2 }`,
    );
    expect(pictureRequests(config.sample)).toEqual(
      [7, 8].map((seed) => ({ prompt: 'a', negativePrompt: '', seed, width: 64, steps: 20, guidanceScale: 4.5 })),
    );
  });
});

describe('datasetOptions: names', () => {
  it('are the names of the folders, numbered where they are taken', async () => {
    const sources = '[../photos, ../photos, { path: ../photos, name: photos-2 }]';
    const { config } = await load(`model: sana-pico\ndataset: { sources: ${sources} }\n`);
    expect(datasetOptions(config.dataset, 256).map(({ name }) => name)).toEqual(['photos', 'photos-3', 'photos-2']);
  });
});

describe('classDatasetOptions', () => {
  it('captions class pictures with the class prompt, but for those with a caption of their own', async () => {
    const { config } = await load('model: sana-pico\ndataset: { path: ../photos, class_prompt: a dog }\n');
    const [source] = config.dataset.sources;
    expect(source && classDatasetOptions(source, '/cache/dogs', 256)).toMatchObject({
      folder: '/cache/dogs',
      name: 'class/dogs',
      kind: 'class',
      resolutions: [256],
      square: false,
      captionsFrom: 'auto',
      instancePrompt: 'a dog',
    });
    const plain = await load(minimal);
    const [without] = plain.config.dataset.sources;
    expect(without && classDatasetOptions(without, '/cache/dogs', 256)).toBeUndefined();
  });
});

describe('adapterOptions', () => {
  it('has the rank as alpha unless there is one', async () => {
    const { config } = await load(`${minimal}lora: { rank: 8, rank_pattern: { attn2.to_k: 2 } }`);
    expect(adapterOptions({ ...config.lora, type: 'lora' })).toMatchObject({
      rank: 8,
      alpha: 8,
      rankPattern: { 'attn2.to_k': 2 },
    });
  });
});
