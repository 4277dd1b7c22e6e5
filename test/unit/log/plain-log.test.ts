import { describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../../src/events.ts';
import { createPlainLog, formatDuration } from '../../../src/log/plain-log.ts';

function step(number: number, seconds = 2): TimedEvent {
  return {
    kind: 'step',
    time: 0,
    step: number,
    maxTrainSteps: 100,
    loss: 0.12345,
    gradNorm: 1,
    learningRate: 1e-4,
    seconds: { data: 0, compute: seconds, update: 0 },
    examples: [],
    memoryMiB: 300,
  };
}

describe('formatDuration', () => {
  it.each([
    [0.123, '0.12 s'],
    [4.24, '4.2 s'],
    [59, '59 s'],
    [65, '1 min 05 s'],
    [3 * 3600 + 240, '3 h 04 min'],
  ])('%d seconds is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('createPlainLog', () => {
  it('prints a line a step with the time left by the mean of the last steps', () => {
    const log = createPlainLog();
    expect(log(step(1, 1))).toBe('step   1/100  loss 0.1235  norm 1.000  lr 0.000100  1.00 s  1 min 39 s left');
    expect(log(step(2, 3))).toContain('3 min 16 s left'); // mean 2 s, 98 steps
  });

  it('prints every so many steps, and the last', () => {
    const log = createPlainLog(10);
    expect([step(9), step(10), step(100)].map((event) => log(event) !== undefined)).toEqual([false, true, true]);
  });

  it('prints a stage when it ends, and every ten seconds between', () => {
    const log = createPlainLog();
    const stage = (done: number, time: number): TimedEvent => ({
      kind: 'stage',
      stage: 'cache',
      done,
      total: 4,
      what: 'pictures',
      time,
    });
    expect(log(stage(0, 0))).toBeUndefined();
    expect(log(stage(1, 5_000))).toBeUndefined();
    expect(log(stage(2, 11_000))).toBe('cache: 2 of 4 pictures, 11 s left');
    expect(log(stage(4, 20_000))).toBe('cache: 4 of 4 pictures, in 20 s');
  });

  it("says how near samples come to the subject, and how far class prompts' pictures have gone", () => {
    const log = createPlainLog();
    const metrics = { kind: 'metrics', time: 0, step: 20, model: 'clip-pico', samples: [], seconds: 1 } as const;
    const subject = { clipI: 0.5, clipT: 0.25 };
    expect(log({ ...metrics, subject })).toBe('metrics at step 20: CLIP-I 0.500, CLIP-T 0.250 (1.0 s)');
    expect(log({ ...metrics, subject, class: { ...subject, clipIToStart: 0.875 } })).toBe(
      'metrics at step 20: CLIP-I 0.500, CLIP-T 0.250; class prompts: 0.875 as at step 0, CLIP-T 0.250 (1.0 s)',
    );
  });
});
