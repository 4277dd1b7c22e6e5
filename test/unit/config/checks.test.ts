import { describe, expect, it } from 'vitest';

import { folder, load, minimal, problems } from './config-file.ts';

async function warnings(lines: string): Promise<readonly string[]> {
  const { warnings: found } = await load(`${minimal}${lines}\n`);
  return found.map((warning) => warning.replace(`${folder}/configs/`, ''));
}

describe('checkTogether: errors', () => {
  it.each([
    [
      'train: { with_prior_preservation: true }',
      /^test.yaml:3:\d+: train.with_prior_preservation is true, but there is no dataset.class_prompt/,
    ],
    ['train: { lr_scheduler: piecewise_constant }', /train.lr_step_rules is absent; piecewise_constant needs factors/],
    ['train: { lr_scheduler: polynomial, lr_end: 1 }', /train.learning_rate is 0.0001, not above 1/],
    [
      'sample: { guidance_interval: [0.9, 0.1] }',
      /sample.guidance_interval is \[0.9, 0.1\]; the lower noise level goes first/,
    ],
    ['lora: { target_modules: [ff.conv_depth] }', /lora.target_modules has ff.conv_depth; no other program loads/],
    ['export: { rank: 32 }', /export.rank is 32, above lora.rank, 16/],
    ['run_dir: ../photos/run', /run_dir \(.*\) lies in the pictures' folder/],
  ])('%s', async (lines, message) => {
    expect(await problems(`${minimal}${lines}\n`)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    [
      '{ path: ../photos, captions: instance_prompt }',
      /^test.yaml:2:39: dataset.captions is instance_prompt, but there is no/,
    ],
    ['{ path: ../photos, sources: [../photos] }', /dataset has path and sources/],
    [
      '{ sources: [{ path: ../photos, name: a }, { path: ../photos, name: a }] }',
      /dataset.sources.1 is called a like one before/,
    ],
  ])('dataset: %s', async (dataset, message) => {
    expect(await problems(`model: sana-pico\ndataset: ${dataset}\n`)).toEqual([expect.stringMatching(message)]);
  });

  it('a text encoder in 8 bits on an engine that lacks them', async () => {
    const text = `model: { path: sana-pico, engine: webgpu, text_encoder_precision: int8 }\ndataset: ../photos\n`;
    expect(await problems(text)).toEqual([
      expect.stringContaining(
        'model.text_encoder_precision is int8, which only the engine cpu has, and model.engine is',
      ),
    ]);
  });

  it.each(['int8', 'nf4'])('the precision %s on an engine that lacks it', async (precision) => {
    const text = `model: { path: sana-pico, engine: webgpu }\ndataset: ../photos\ntrain: { precision: ${precision} }\n`;
    expect(await problems(text)).toEqual([
      expect.stringMatching(
        `train.precision is ${precision}, which only the engine cpu has, and model.engine is webgpu; use fp32.`,
      ),
    ]);
  });

  it('a class prompt that is the instance prompt', async () => {
    const dataset = '{ path: ../photos, class_prompt: a dog, instance_prompt: a dog }';
    const text = `model: sana-pico\ndataset: ${dataset}\ntrain: { with_prior_preservation: true }\n`;
    expect(await problems(text)).toEqual([expect.stringContaining('leave the trigger word out of class_prompt')]);
    expect(await problems(text.replace('class_prompt: a dog', 'class_prompt: [a cat, a dog]'))).toHaveLength(1);
  });

  it('class prompts that are none', async () => {
    const text = 'model: sana-pico\ndataset: { path: ../photos, class_prompt: [] }\n';
    expect(await problems(text)).toEqual([expect.stringContaining('dataset.class_prompt')]);
  });
});

describe('checkTogether: warnings', () => {
  it.each([
    [
      'train: { optimizer: prodigy, learning_rate: 1e-4 }',
      'test.yaml:3:45: train.learning_rate is 0.0001; prodigy multiplies the step size that it finds by it: use 1.',
    ],
    [
      'train: { learning_rate: 1 }',
      'test.yaml:3:25: train.learning_rate is 1, 10000 times what is usual with adamw (0.0001); the model will probably break.',
    ],
    [
      'train: { lr_warmup_steps: 10 }',
      'test.yaml:3:27: train.lr_warmup_steps does nothing with lr_scheduler: constant; use constant_with_warmup for a warm-up.',
    ],
    [
      'train: { max_train_steps: 50, checkpointing_steps: 60 }',
      'test.yaml:3:52: train.checkpointing_steps is 60, above max_train_steps, 50: nothing is saved before the end.',
    ],
    ['train: { ema_decay: 0.99 }', 'test.yaml:3:21: train.ema_decay does nothing without use_ema: true.'],
  ])('%s', async (lines, message) => {
    expect(await warnings(lines)).toEqual([message]);
  });

  it('are not about defaults', async () => {
    expect(await warnings('train: { max_train_steps: 50, checkpointing_steps: 100, ema_decay: 0.9999 }')).toEqual([]);
  });
});
