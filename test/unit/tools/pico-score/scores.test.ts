import { describe, expect, it } from 'vitest';

import {
  clipScore,
  confusions,
  figures,
  headScore,
  jointScore,
  type Judged,
} from '../../../../tools/pico-score/scores.ts';
import type { Scene } from '../../../../tools/pico-score/world.ts';

const seen: Scene = {
  animal: 'dog',
  coat: 'teal',
  pattern: 'plain',
  accessory: 'cape',
  cloth: 'red',
  emblem: 'star',
  pose: 'sitting',
  background: 'beach',
};

function judged(expected: Partial<Scene>, change: Partial<Scene> = {}, similarity = 0.5): Judged {
  return { expected, seen: { ...seen, ...change }, similarity };
}

describe('headScore', () => {
  it('counts the pictures whose prompt names the head, and no others', () => {
    const pictures = [judged({ emblem: 'star' }), judged({ emblem: 'moon' }), judged({ emblem: 'heart' }), judged({})];
    expect(headScore(pictures, 'emblem')).toBeCloseTo(100 / 3);
    expect(headScore(pictures, 'pattern')).toBe(null);
  });
});

describe('jointScore', () => {
  it('asks for all heads in one picture', () => {
    const expected = { animal: 'dog', coat: 'teal' };
    const pictures = [judged(expected), judged(expected, { coat: 'blue' }), judged(expected, { animal: 'cat' })];
    expect(jointScore(pictures, ['animal', 'coat'])).toBeCloseTo(100 / 3);
    expect(jointScore(pictures, ['animal'])).toBeCloseTo(200 / 3);
  });
});

describe('clipScore', () => {
  it('is 100 times the mean cosine', () => {
    expect(clipScore([judged({}, {}, 0.25), judged({}, {}, 0.75)])).toBe(50);
    expect(clipScore([])).toBe(null);
  });
});

describe('confusions', () => {
  it('tells what was seen in place of what was asked for, the most frequent first', () => {
    const pictures = [
      judged({ animal: 'cat' }),
      judged({ animal: 'cat' }, { animal: 'fox' }),
      judged({ animal: 'cat' }),
      judged({ animal: 'cat' }, { animal: 'cat' }),
      judged({ animal: 'dog' }),
    ];
    expect(confusions(pictures, 'animal')).toEqual(['dog 1/1', 'cat 1/4, dog 2, fox 1']);
  });
});

describe('figures', () => {
  const dog = { animal: 'dog', coat: 'teal', accessory: 'cape', cloth: 'red', emblem: 'star', background: 'beach' };

  it('names what every run measures', () => {
    expect(figures({ base: [judged({ ...dog, pattern: 'spotted' })] })).toEqual({
      animal: 100,
      coat: 100,
      background: 100,
      pattern: 0,
      accessory: 100,
      emblem: 100,
      clipScore: 50,
    });
  });

  it('adds the subject, which needs its cape in red, and the loss of the prior in points', () => {
    const cat = { animal: 'cat', coat: 'gray', background: 'snow' };
    const result = figures({
      base: [],
      subject: { adapted: [judged(dog), judged(dog, { cloth: 'blue' })], base: [judged(dog, { coat: 'brown' })] },
      prior: {
        adapted: [judged(cat, cat), judged(cat, { ...cat, coat: 'teal' }), judged(cat, { ...cat, coat: 'teal' })],
        base: [judged(cat, cat), judged(cat, cat), judged(cat, cat)],
      },
    });
    expect(result).toMatchObject({ subject: 50, subjectBefore: 0, prior: 33.3, priorBefore: 100, priorLoss: 66.7 });
  });
});
