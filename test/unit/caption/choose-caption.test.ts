import { describe, expect, it } from 'vitest';

import { uniformChoice } from '../../../datasets/caption-text.ts';
import { captionProbabilities, createCaptionChoice } from '../../../src/caption/choose-caption.ts';
import { createRandom } from '../../../src/random.ts';

const scored = (...scores: (number | undefined)[]) =>
  scores.map((score, i) => ({ text: `caption ${i}`, ...(score !== undefined && { score }) }));
const options = { selection: 'clip_score_power', clipThr: 25, temperature: 0.1 } as const;
const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(2)));

describe('captionProbabilities', () => {
  // The scores of NVlabs' own example.
  const example = scored(27.1037, 27.2321, 26.7331);

  it("weighs scores from the threshold on by their power, as NVlabs' code", () => {
    expect(rounded(captionProbabilities(example, options))).toEqual([0.34, 0.36, 0.3]);
    expect(rounded(captionProbabilities(scored(27.1, 24.9, 27.1), options))).toEqual([0.5, 0, 0.5]);
  });

  it('takes the best one where all are below the threshold', () => {
    expect(captionProbabilities(scored(20, 24, 23), options)).toEqual([0, 1, 0]);
    expect(captionProbabilities(scored(-3, -1), { ...options, clipThr: 0 })).toEqual([0, 1]);
  });

  it("is as sharp as the paper's softmax where that is asked", () => {
    const [first, second, third] = captionProbabilities(example, { ...options, selection: 'softmax' });
    expect(first).toBeCloseTo(0.2157, 2);
    expect(second).toBeCloseTo(0.779, 2);
    expect(third).toBeLessThan(0.01);
    expect(captionProbabilities(scored(1000, 0), { ...options, selection: 'softmax' })).toEqual([1, 0]);
  });

  it('does not overflow for small temperatures', () => {
    expect(captionProbabilities(scored(99, 98), { ...options, temperature: 1e-9 })[0]).toBeGreaterThan(0.7);
  });

  it('draws captions without a score only where none has one', () => {
    expect(captionProbabilities(scored(undefined, 30, undefined), options)).toEqual([0, 1, 0]);
    expect(captionProbabilities(scored(undefined, undefined), options)).toEqual([0.5, 0.5]);
    expect(captionProbabilities(scored(undefined, 30), { ...options, selection: 'uniform' })).toEqual([0.5, 0.5]);
    expect(captionProbabilities(scored(20, 30), { ...options, selection: 'first' })).toEqual([1, 0]);
    expect(captionProbabilities(scored(20, 30), { ...options, selection: 'best' })).toEqual([0, 1]);
  });
});

describe('createCaptionChoice', () => {
  it('draws as often as the probabilities say', () => {
    const choose = createCaptionChoice(options);
    const captions = scored(27.1037, 27.2321, 26.7331);
    const random = createRandom(1);
    const counts = [0, 0, 0];
    for (let i = 0; i < 6000; i++) {
      const at = captions.indexOf(choose(captions, random));
      counts[at] = (counts[at] ?? 0) + 1 / 6000;
    }
    for (const [i, expected] of captionProbabilities(captions, options).entries()) {
      expect(counts[i]).toBeCloseTo(expected, 1);
    }
  });

  it('draws captions without scores as they were drawn before there were any', () => {
    const captions = scored(undefined, undefined, undefined);
    const [a, b] = [createRandom(7), createRandom(7)];
    for (let i = 0; i < 20; i++) {
      expect(createCaptionChoice(options)(captions, a)).toBe(uniformChoice(captions, b));
    }
  });

  it('always takes the first or the best where that is asked', () => {
    const captions = scored(26, 31, 30);
    const random = createRandom(0);
    expect(createCaptionChoice({ ...options, selection: 'first' })(captions, random)).toBe(captions[0]);
    expect(createCaptionChoice({ ...options, selection: 'best' })(captions, random)).toBe(captions[1]);
  });
});
