import { describe, expect, it } from 'vitest';

import { changesFromDefaults, changesOnResume, formatConfig } from '../../../src/config/resolved-config.ts';
import { load, minimal } from './config-file.ts';

const rich = `model: sana-pico
dataset:
  class_prompt: a dog
  sources: [{ path: ../photos, repeats: 2 }, { path: ../photos/more, mask: alpha, resolution: [256, 512] }]
caption:
  captioners: [{ type: existing }, { type: openai, model: llava, prefix: "[trigger], " }]
lora: { rank: 8, rank_pattern: { attn2.to_k: 4 } }
train: { optimizer: { name: prodigy, d_coef: 0.5 }, with_prior_preservation: true, lr_scheduler: cosine }
sample: { prompts: ["a: b", { prompt: "yes", seed: 3 }] }
export: { formats: [diffusers, comfyui], title: "1e5" }
`;

describe('formatConfig', () => {
  it.each([minimal, rich])('writes what loads as the same config, without new warnings', async (text) => {
    const first = await load(text);
    const again = await load(formatConfig(first.config), { env: {} });
    expect(again.config).toEqual(first.config);
    expect(again.warnings).toEqual([]);
  });
});

describe('changesFromDefaults', () => {
  it('lists what the config says', async () => {
    expect(changesFromDefaults((await load(minimal)).config)).toEqual([]);
    const { config } = await load(`${minimal}lora: { rank: 8 }\ntrain: { seed: 3 }`);
    expect(changesFromDefaults(config)).toEqual([
      { option: 'lora.rank', from: 16, to: 8 },
      { option: 'lora.alpha', from: 16, to: 8 },
      { option: 'train.seed', from: 0, to: 3 },
    ]);
  });
});

describe('changesOnResume', () => {
  it('allows what leaves the run the same run', async () => {
    const before = (await load(rich)).config;
    const after = (await load(rich, { set: ['train.max_train_steps=900', 'sample.every=10', 'log.ui=json'] })).config;
    expect(changesOnResume(before, after)).toEqual({
      allowed: [
        { option: 'train.max_train_steps', from: 500, to: 900 },
        { option: 'sample.every', from: 100, to: 10 },
        { option: 'log.ui', from: 'auto', to: 'json' },
      ],
      refused: [],
    });
  });

  it('refuses the rest, down to the option of a source', async () => {
    const before = (await load(rich)).config;
    const after = (await load(rich, { set: ['dataset.sources.1.repeats=9', 'lora.rank=4', 'train.seed=1'] })).config;
    const { allowed, refused } = changesOnResume(before, after);
    expect(allowed).toEqual([]);
    expect(refused.map(({ option }) => option)).toEqual([
      'dataset.sources.1.repeats',
      'lora.rank',
      'lora.alpha',
      'train.seed',
    ]);
  });
});
