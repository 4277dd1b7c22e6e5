import { describe, expect, it } from 'vitest';

import { createRunView } from '../../../src/dashboard/run-view.ts';
import type { TimedEvent, TrainEvent } from '../../../src/events.ts';

const timed = (event: TrainEvent, time = 0): TimedEvent => ({ ...event, time });
const run = (firstStep: number): TimedEvent =>
  timed({
    kind: 'run',
    name: 'dog',
    runDir: 'runs/dog',
    model: '/models/sana-pico',
    firstStep,
    maxTrainSteps: 100,
    config: { dataset: { sources: [{ trigger_word: 'sks' }, { trigger_word: null, instance_prompt: 'a cat' }] } },
  });
const step = (step: number): TimedEvent =>
  timed({
    kind: 'step',
    step,
    maxTrainSteps: 100,
    loss: step,
    gradNorm: 1,
    learningRate: 1e-4,
    seconds: { data: 0, compute: step, update: 0 },
    examples: [],
    memoryMiB: 100,
  });
const sample = (step: number, index = 0): TimedEvent =>
  timed({ kind: 'sample', step, index, prompt: `prompt ${index}`, seed: 0, path: `${index}-${step}.png`, seconds: 1 });

describe('createRunView', () => {
  it('names the run, its subjects and its model', () => {
    const { view, apply } = createRunView(() => undefined);
    expect(view.name).toBe('');
    const made = createRunView(() => undefined);
    made.apply(run(0));
    expect(made.view).toMatchObject({ name: 'dog', subject: 'sks, a cat', model: 'sana-pico', maxTrainSteps: 100 });
    apply(timed({ kind: 'run', name: 'x', runDir: '', model: 'm', firstStep: 0, maxTrainSteps: 1, config: null }));
  });

  it('forgets what a resumed run makes again', () => {
    const made = createRunView(() => undefined);
    for (const event of [run(0), sample(0), step(1), step(2), sample(2), run(1), step(2)]) made.apply(event);
    expect(made.view.loss.points().map(({ to }) => to)).toEqual([1, 2]);
    expect(made.view.prompts[0]?.pictures.map(({ step }) => step)).toEqual([0]);
  });

  it('keeps warnings until they are read, and the mean of the last steps', () => {
    const made = createRunView(({ kind }) => kind);
    made.apply(timed({ kind: 'warning', message: 'the disk is nearly full' }));
    expect(made.view.warnings).toEqual(['the disk is nearly full']);
    made.readWarnings();
    expect(made.view.warnings).toEqual([]);
    for (let i = 1; i <= 40; i++) made.apply(step(i));
    expect(made.view.seconds?.compute).toBe(30.5); // steps 21 to 40
    expect(made.view.log).toEqual(['warning']);
  });

  it('stays small on a long run, and keeps the first and the newest picture', () => {
    const made = createRunView(({ kind }) => kind);
    for (let i = 0; i <= 20_000; i++) {
      made.apply(step(i));
      made.apply(sample(i));
    }
    const { log, prompts, loss } = made.view;
    const steps = prompts[0]?.pictures.map(({ step }) => step) ?? [];
    expect(log).toHaveLength(200);
    expect(steps.length).toBeLessThanOrEqual(400);
    expect([steps[0], steps.at(-1)]).toEqual([0, 20_000]);
    expect(loss.points().length).toBeLessThanOrEqual(1024);
  });

  it('measures a stage from its first event', () => {
    const made = createRunView(() => undefined);
    made.apply(timed({ kind: 'stage', stage: 'cache', done: 0, total: 4 }, 1000));
    made.apply(timed({ kind: 'stage', stage: 'cache', done: 2, total: 4 }, 3000));
    expect(made.view.stages).toEqual([{ stage: 'cache', done: 2, total: 4, what: '', began: 1000, time: 3000 }]);
  });
});
