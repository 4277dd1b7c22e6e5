import { describe, expect, it } from 'vitest';

import { parseConfig } from '../../../src/config/load-config.ts';
import { addedClassPrompts, promptRole, sampleClip } from '../../../src/config/prompt-roles.ts';
import type { Config } from '../../../src/config/schema.ts';

const dog = { trigger_word: 'sks dog', instance_prompt: null, class_prompt: null };
const fox = { trigger_word: null, instance_prompt: 'a photo of ohwx fox', class_prompt: 'a photo of a fox' };
const bird = { ...fox, instance_prompt: 'a photo of ohwx bird', class_prompt: ['a photo of a bird', 'a red photo'] };
const unnamed = { trigger_word: null, instance_prompt: null, class_prompt: null };

async function configOf(options: {
  readonly dataset?: object;
  readonly sample?: object;
  readonly model?: string;
}): Promise<Config> {
  const { config } = await parseConfig(
    {
      model: options.model ?? 'sana-pico',
      dataset: { path: 'photos', ...options.dataset },
      sample: options.sample ?? {},
    },
    { checkFiles: false, cwd: import.meta.dirname },
  );
  return config;
}

describe('promptRole', () => {
  it.each([
    ['a photo of SKS dog, in the snow', [dog, fox], 'subject', [0]],
    ['ohwx fox and sks dog', [dog, fox], 'subject', [0, 1]],
    ['a photo of a dog', [dog, fox], 'class', [0, 1]],
    ['a photo of sks dogs', [dog], 'class', [0]],
    ['ohwx', [bird], 'subject', [0]],
    ['a red bird', [bird], 'class', [0]],
    ['a lighthouse', [unnamed], 'subject', [0]],
    ['a lighthouse', [dog, unnamed], 'subject', [1]],
  ] as const)('%s', (prompt, sources, role, own) => {
    expect(promptRole(prompt, sources)).toEqual({ role, sources: own });
  });
});

describe('addedClassPrompts', () => {
  const dataset = { trigger_word: 'sks', class_prompt: 'a photo of a dog' };

  it('samples the class prompt where samples are measured and none is of the class', async () => {
    const sample = { prompts: ['a photo of sks dog'] };
    expect(addedClassPrompts(await configOf({ dataset, sample }))).toEqual(['a photo of a dog']);
    expect(addedClassPrompts(await configOf({ dataset, sample: { ...sample, clip_model: 'none' } }))).toEqual([]);
    expect(addedClassPrompts(await configOf({ dataset, sample: { prompts: ['a cat'] } }))).toEqual([]);
    const several = { ...dataset, class_prompt: ['a photo of a brown dog', 'a photo of a gray cat'] };
    expect(addedClassPrompts(await configOf({ dataset: several, sample }))).toEqual(['a photo of a brown dog']);
  });
});

describe('sampleClip', () => {
  it('is the bundled one for sana-pico, and none for other models until one is named', async () => {
    expect(sampleClip(await configOf({}))).toBe('clip-pico');
    expect(sampleClip(await configOf({ model: 'owner/sana' }))).toBeUndefined();
    expect(sampleClip(await configOf({ model: 'owner/sana', sample: { clip_model: 'owner/clip' } }))).toBe(
      'owner/clip',
    );
    expect(sampleClip(await configOf({ sample: { every: 0 } }))).toBeUndefined();
  });
});
