import { join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { loadConfig, parseConfig } from '../../../src/config/load-config.ts';
import { cwd, folder, load, minimal, problems } from './config-file.ts';

describe('loadConfig', () => {
  it('fills in every default', async () => {
    const { config, name, warnings } = await load(minimal);
    expect(name).toBe('test');
    expect(warnings).toEqual([]);
    expect(config.model.path).toBe('sana-pico');
    expect(config.dataset.sources).toHaveLength(1);
    expect(config.dataset.sources[0]).toMatchObject({ path: join(folder, 'photos'), repeats: 1, caption_dropout: 0.1 });
    expect(config.lora).toMatchObject({ type: 'lora', rank: 16, alpha: 16, target_modules: ['to_q', 'to_k', 'to_v'] });
    expect(config.train).toMatchObject({ max_train_steps: 500, max_grad_norm: 0.1, weighting_scheme: 'sana' });
    expect(config.train).toMatchObject({ learning_rate: 1e-4, flow_shift: 'auto', optimizer: { name: 'adamw' } });
    expect(config.sample).toMatchObject({ every: 100, at_start: true, guidance_scale: 4.5, num_inference_steps: 20 });
    expect(config.run_dir).toBe(join(cwd, 'runs', 'test'));
  });

  it('takes a section without a line as its defaults', async () => {
    const { config } = await load(`${minimal}train:\n  # all of it commented out\nlog:\n`);
    expect(config.train.seed).toBe(0);
  });

  it('gives every source and prompt what it does not say itself', async () => {
    const { config } = await load(`model: sana-pico
dataset:
  repeats: 3
  resolution: 512
  sources:
    - ../photos
    - { path: ../photos/more, repeats: 7, resolution: [256, 512] }
sample:
  guidance_scale: 3
  prompts: [a dog, { prompt: a cat, seed: 5, guidance_scale: 1 }]
`);
    const { sources } = config.dataset;
    expect(sources.map(({ repeats, resolution }) => ({ repeats, resolution }))).toEqual([
      { repeats: 3, resolution: [512] },
      { repeats: 7, resolution: [256, 512] },
    ]);
    expect('repeats' in config.dataset).toBe(false);
    expect(config.sample.prompts).toMatchObject([
      { prompt: 'a dog', seed: 0, guidance_scale: 3, width: 'auto' },
      { prompt: 'a cat', seed: 5, guidance_scale: 1, width: 'auto' },
    ]);
  });

  it('takes the learning rate that fits the optimizer', async () => {
    const rate = async (train: string) => (await load(`${minimal}train: { ${train} }`)).config.train.learning_rate;
    expect(await rate('optimizer: prodigy')).toBe(1);
    expect(await rate('optimizer: { name: lion, betas: [0.95, 0.98] }')).toBe(2e-5);
    expect(await rate('optimizer: came, learning_rate: 3e-4')).toBe(3e-4);
  });

  it('counts epochs in place of steps', async () => {
    const { config } = await load(`${minimal}train: { num_train_epochs: 3 }`);
    expect(config.train).toMatchObject({ num_train_epochs: 3, max_train_steps: null });
  });

  it('is unharmed by anchors and aliases', async () => {
    const { config } = await load('model: &m sana-pico\ndataset: ../photos\nexport: { title: *m }\n');
    expect(config.export.title).toBe('sana-pico');
  });

  it('explains a file that is missing or is no text', async () => {
    await expect(loadConfig(join(folder, 'none.yaml'))).rejects.toThrow(
      /Could not read .*none\.yaml: there is no such/,
    );
    await expect(loadConfig(resolve('examples/dog/01.png'))).rejects.toThrow(/is not text in UTF-8/);
    await expect(loadConfig(folder)).rejects.toThrow(/it is a folder/);
  });
});

describe('loadConfig: --set', () => {
  it('overrides the file, the last of the same key', async () => {
    const { config } = await load(`${minimal}lora: { rank: 4 }\nsample: { prompts: [a, b] }`, {
      set: [
        'lora.rank=8',
        'lora.rank=32',
        'train.optimizer=came',
        'train.optimizer.weight_decay=0.1',
        'sample.prompts.0=a dog: with a colon',
        'sample.prompts.2={prompt: c, seed: 4}',
        'lora.rank_pattern.attn2.to_k=2',
        'dataset.trigger_word=123',
        'model.revision=1e5',
        'lora.target_modules=[to_q]',
      ],
    });
    expect(config.lora).toMatchObject({ rank: 32, rank_pattern: { 'attn2.to_k': 2 }, target_modules: ['to_q'] });
    expect(config.train.optimizer).toMatchObject({ name: 'came', weight_decay: 0.1 });
    expect(config.sample.prompts.map(({ prompt, seed }) => [prompt, seed])).toEqual([
      ['a dog: with a colon', 0],
      ['b', 0],
      ['c', 4],
    ]);
    expect(config.dataset.sources[0]?.trigger_word).toBe('123');
    expect(config.model.revision).toBe('1e5');
  });

  it('starts paths at the working directory', async () => {
    const { config } = await load(minimal, { set: ['dataset.path=here'] });
    expect(config.dataset.sources[0]?.path).toBe(join(cwd, 'here'));
  });

  it('is named in what is wrong with it', async () => {
    const set = ['train.max_train_steps=many', 'train.seeed=1', 'lora', 'sample.prompts.3=a', 'train.seed.a=1'];
    expect(await problems(minimal, { set })).toEqual([
      '--set lora: it is not KEY=VALUE; write for example --set train.max_train_steps=1000.',
      '--set sample.prompts.3=a: sample.prompts has 0 in its list; the next is sample.prompts.0.',
      expect.stringMatching(/^--set train.max_train_steps=many: train.max_train_steps is "many"; use a whole number/),
      expect.stringMatching(/^--set train.seed.a=1: train.seed is \{"a":1\}; use a whole number from 0/),
      '--set train.seeed=1: train.seeed is no option; did you mean train.seed?',
    ]);
  });
});

describe('loadConfig: paths', () => {
  it('start at the config for what is read, at the working directory for what is written', async () => {
    const { config } = await load(
      `${minimal}run_dir: out\nmodel: ../photos\ncaption: { output: auto }\n`.replace('model: sana-pico\n', ''),
    );
    expect(config.model.path).toBe(join(folder, 'photos'));
    expect(config.run_dir).toBe(join(cwd, 'out'));
    expect(config.caption.output).toBe('auto');
    expect(config.dataset.cache_dir).toMatch(/^\/home\/ada\/.*sana-train/);
  });

  it('replace variables and the home folder, in paths alone', async () => {
    const text = `model: sana-pico
dataset: { path: "\${DATA}/photos", instance_prompt: "a \${DATA} dog", cache_dir: "~/c" }
run_dir: "\${RUNS:-/tmp/runs}/x"
`;
    const { config } = await load(text, { env: { DATA: folder, HOME: '/home/ada' } });
    expect(config.dataset.sources[0]).toMatchObject({ path: join(folder, 'photos'), instance_prompt: 'a ${DATA} dog' });
    expect(config.dataset.cache_dir).toBe('/home/ada/c');
    expect(config.run_dir).toBe('/tmp/runs/x');
    expect(await problems(text, { env: { DATA: '' } })).toEqual([
      'test.yaml:2:18: dataset.path is "${DATA}/photos": the environment variable DATA is not set; set it, or give a default: ${DATA:-folder}.',
    ]);
  });

  it('that lead nowhere are told, with the path that was probably meant', async () => {
    expect(await problems('model: sana-pico\ndataset: here')).toEqual([
      'test.yaml:2:10: dataset.path is "here": there is no here; paths in a config start at its folder; write ../work/here.',
    ]);
    expect(await problems('model: sana-pika\ndataset: ../photos')).toEqual([
      'test.yaml:1:8: model.path is "sana-pika": there is no such folder, and an id of Hugging Face has the form OWNER/NAME.',
    ]);
    expect(await problems('model: owner/name\ndataset: ../photos')).toEqual([]);
    expect(await problems('model: ./models\ndataset: ../nowhere', { checkFiles: false })).toEqual([]);
  });
});

describe('parseConfig', () => {
  it('checks what a program made', async () => {
    const { config } = await parseConfig({ model: 'sana-pico', dataset: { path: 'here' } }, { cwd, name: 'mine' });
    expect(config.run_dir).toBe(join(cwd, 'runs', 'mine'));
    await expect(parseConfig({ model: 'sana-pico', dataset: 'here', lora: { rank: 0 } }, { cwd })).rejects.toThrow(
      'config: lora.rank is 0; use a whole number from 1 to 4096 (4 to 64 are usual).',
    );
  });
});
