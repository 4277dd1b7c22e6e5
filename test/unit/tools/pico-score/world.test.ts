import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import {
  basePrompts,
  drawScene,
  heads,
  isHeldOut,
  plainPrompt,
  priorPrompts,
  type Scene,
  subjectPrompts,
  vocabulary,
} from '../../../../tools/pico-score/world.ts';

const crown: Scene = {
  animal: 'cat',
  coat: 'orange',
  pattern: 'striped',
  accessory: 'crown',
  cloth: 'red',
  emblem: 'heart',
  pose: 'waving',
  background: 'living room',
};

describe('vocabulary', () => {
  it('holds the classes of tools/pico/world.py, in order', async () => {
    const python = await readFile(new URL('../../../../tools/pico/world.py', import.meta.url), 'utf8');
    const listOf = (name: string): unknown =>
      JSON.parse(new RegExp(`^${name} = (\\[.*\\])$`, 'm').exec(python)?.[1] ?? '');
    const keysOf = (name: string): string[] => {
      const [, body = ''] = new RegExp(`^${name}: dict\\[str, RGB\\] = \\{([^}]*)\\}`, 'm').exec(python) ?? [];
      return [...body.matchAll(/"([^"]+)": \(/g)].map(([, key = '']) => key);
    };
    expect(vocabulary.heads).toEqual({
      animal: listOf('ANIMALS'),
      coat: keysOf('COATS'),
      pattern: listOf('PATTERNS'),
      accessory: listOf('ACCESSORIES'),
      cloth: keysOf('CLOTHS'),
      emblem: listOf('EMBLEMS'),
      pose: listOf('POSES'),
      background: listOf('BACKGROUNDS'),
    });
  });
});

describe('isHeldOut', () => {
  it.each<[Partial<Scene>, boolean]>([
    [{}, false],
    [{ animal: 'dog' }, false],
    [{ animal: 'dog', coat: 'teal' }, true],
    [{ animal: 'fox', coat: 'teal' }, false],
    [{ animal: 'fox', coat: 'blue' }, true],
    [{ emblem: 'star', accessory: 'cape' }, true],
    [{ emblem: 'moon', accessory: 'cape' }, false],
    [{ emblem: 'moon', accessory: 'top hat' }, true],
  ])('%o with the rest of an orange cat: %s', (change, expected) => {
    expect(isHeldOut({ ...crown, ...change })).toBe(expected);
  });
});

describe('plainPrompt', () => {
  // Expected texts: plain_prompt of tools/pico/world.py.
  it.each<[Partial<Scene>, string]>([
    [{}, 'an orange striped cat waving wearing a red crown with a heart on its belly in the living room'],
    [{ accessory: 'glasses', emblem: 'none' }, 'an orange striped cat waving wearing red glasses in the living room'],
    [
      { accessory: 'cape', cloth: 'orange', pattern: 'plain', emblem: 'none', background: 'beach' },
      'an orange cat waving wearing an orange cape on the beach',
    ],
    [
      { coat: 'blue', accessory: 'none', pattern: 'plain', background: 'space' },
      'a blue cat waving with a heart on its belly in space',
    ],
  ])('%o', (change, expected) => {
    expect(plainPrompt({ ...crown, ...change })).toBe(expected);
  });
});

describe('drawScene', () => {
  it('makes every class about equally likely and holds back what is held out', () => {
    const scenes = Array.from({ length: 2000 }, (_, i) => drawScene(`test/${i}`));
    expect(scenes.filter(isHeldOut)).toEqual([]);
    // What is held out makes some rarer: a cape never meets a star.
    for (const head of heads) {
      for (const name of vocabulary.heads[head]) {
        const share = scenes.filter((scene) => scene[head] === name).length / scenes.length;
        const expected = 1 / vocabulary.heads[head].length;
        expect(share, `${head} ${name}`).toBeGreaterThan(0.6 * expected);
        expect(share, `${head} ${name}`).toBeLessThan(1.4 * expected);
      }
    }
  });
});

describe('basePrompts', () => {
  it('begins with the same prompts and seeds whatever the count', () => {
    expect(basePrompts(40).slice(0, 7)).toEqual(basePrompts(7));
    expect(basePrompts(1)).toEqual([
      {
        prompt: 'a pink spotted fox standing wearing a red crown with a star on its belly in the city',
        seed: 0,
        expected: {
          animal: 'fox',
          coat: 'pink',
          pattern: 'spotted',
          accessory: 'crown',
          cloth: 'red',
          emblem: 'star',
          pose: 'standing',
          background: 'city',
        },
      },
    ]);
  });

  it('names every class that it expects, and expects none that it leaves unsaid', () => {
    for (const { prompt, expected } of basePrompts(256)) {
      for (const head of heads) {
        const name = expected[head];
        if (name !== undefined) expect(prompt).toContain(name);
      }
      expect(expected.accessory === undefined).toBe(!prompt.includes('wearing'));
      expect(expected.emblem === undefined).toBe(!prompt.includes('on its belly'));
      expect(Object.values(expected)).not.toContain('none');
      expect(expected.pattern).not.toBe('plain');
    }
  });
});

describe('subjectPrompts', () => {
  it('shows the subject on each of the eight backgrounds that it was never seen on, eight times', () => {
    const prompts = subjectPrompts(64);
    const counts = new Map<string, number>();
    for (const { expected } of prompts) {
      const { background = '', ...subject } = expected;
      counts.set(background, (counts.get(background) ?? 0) + 1);
      expect(subject).toMatchObject({ animal: 'dog', coat: 'teal', emblem: 'star', accessory: 'cape', cloth: 'red' });
    }
    expect(counts.size).toBe(8);
    expect(counts.has('studio')).toBe(false);
    expect([...counts.values()]).toEqual(Array(8).fill(8));
    expect(prompts[0]?.prompt).toBe('a photo of sks dog in a meadow');
    expect(new Set(prompts.map(({ seed }) => seed)).size).toBe(64);
  });
});

describe('priorPrompts', () => {
  it('asks for as many dogs as other animals, without the trigger word, the accessory or the subject itself', () => {
    const prompts = priorPrompts(128);
    expect(prompts.filter(({ expected }) => expected.animal === 'dog')).toHaveLength(64);
    for (const { prompt, expected } of prompts) {
      expect(prompt).toMatch(/^a photo of an? [a-z]+ [a-z]+ (in|on) /);
      expect(prompt).not.toContain('sks');
      expect(expected.animal === 'dog' && expected.coat === 'teal').toBe(false);
      expect(expected.animal === 'fox' && expected.coat === 'blue').toBe(false);
    }
  });
});
