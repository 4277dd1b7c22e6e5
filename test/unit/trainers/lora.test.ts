import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { createTrainingStep, type TrainingStep } from '../../../src/lora/training-step.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import type { OptimizerState, Params } from '../../../src/optim/optimizer.ts';
import { createRandom } from '../../../src/random.ts';
import { initialState, type TrainState } from '../../../src/run/train-state.ts';
import { type NamedBatch, trainLora, type TrainLoraOptions } from '../../../trainers/lora.ts';
import { asTrained, randomBatch, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine();
afterAll(() => engine.close());
const model = await smallTransformer('plain');
const modules = smallAdapter(model, { targetModules: ['attn1.to_q', 'conv_point'], dropout: 0.2 });
const trainingStep = await createTrainingStep(engine, model, modules);
const withoutDropout = await createTrainingStep(
  engine,
  model,
  smallAdapter(model, { targetModules: ['attn1.to_q', 'conv_point'] }),
);

const optimizer = createOptimizer({ name: 'adamw', weightDecay: 0.01 });

/** As if trained a little, so that every tensor has a gradient. */
async function newState({ average = false } = {}): Promise<TrainState> {
  const start = await createAdapter(modules, model.weights, createRandom(1));
  return initialState(asTrained(start, createRandom(2)), optimizer, { average });
}

function named(index: number, size = 2): NamedBatch {
  return { ...randomBatch(index, size), ids: Array.from({ length: size }, (_, i) => `picture ${index}.${i}`) };
}

/** Runs to the end: what was told, and what was returned or thrown. */
async function run(
  state: TrainState,
  options: Partial<TrainLoraOptions> = {},
): Promise<{ events: TrainEvent[]; end: unknown }> {
  const events: TrainEvent[] = [];
  const training = trainLora({
    trainingStep,
    state,
    optimizer,
    schedule: () => 1e-2,
    batch: (index) => named(index),
    maxTrainSteps: 4,
    random: createRandom(3),
    ...options,
  });
  try {
    for (;;) {
      const { done, value } = await training.next();
      if (done) return { events, end: value };
      events.push(value);
    }
  } catch (error) {
    return { events, end: error };
  }
}

function numbersOf(params: Params): number[] {
  return [...params.values()].flatMap(({ data }) => [...data]);
}

/** Two batches of one size as one. */
function joined(a: NamedBatch, b: NamedBatch): NamedBatch {
  const join = (x: Tensor | undefined, y: Tensor | undefined): Tensor => {
    const { shape = [1] } = x ?? {};
    const data = [x, y].flatMap((part) => (part ? [...toFloat32(part)] : []));
    return float32([2 * (shape[0] ?? 1), ...shape.slice(1)], data);
  };
  return {
    ids: [...a.ids, ...b.ids],
    latents: join(a.latents, b.latents),
    noise: join(a.noise, b.noise),
    promptEmbeds: join(a.promptEmbeds, b.promptEmbeds),
    promptAttentionMask: join(a.promptAttentionMask, b.promptAttentionMask),
    sigmas: [...a.sigmas, ...b.sigmas],
  };
}

/** A training step whose losses and gradients are what a test says. */
function fakeStep(lossOf: (call: number) => number): TrainingStep {
  let calls = 0;
  return {
    parameters: trainingStep.parameters,
    run(batch, parameters) {
      const loss = lossOf(calls++);
      const gradients = new Map(
        [...parameters].map(([name, { shape, data }]) => [
          name,
          float32(
            shape,
            data.map(() => loss),
          ),
        ]),
      );
      const losses = new Float32Array(batch.sigmas.length).fill(loss);
      return Promise.resolve({ loss, losses, gradients });
    },
    recycle({ gradients }) {
      for (const { data } of gradients.values()) data.fill(Number.NaN);
    },
    dispose: () => Promise.resolve(),
  };
}

describe('trainLora', () => {
  it('tells each step: the loss falls, and the same seed gives the same numbers', async () => {
    const first = await newState();
    // One batch again and again, which must be learned.
    const { events, end } = await run(first, { batch: () => named(0), maxTrainSteps: 12, maxGradNorm: 1 });
    expect(end).toBe('done');
    const steps = events.flatMap((event) => (event.kind === 'step' ? [event] : []));
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(steps.at(-1)?.loss).toBeLessThan(0.97 * (steps[0]?.loss ?? 0));
    expect(steps[0]?.examples.map(({ id }) => id)).toEqual(['picture 0.0', 'picture 0.1']);
    const again = await newState();
    await run(again, { batch: () => named(0), maxTrainSteps: 12, maxGradNorm: 1 });
    expect(numbersOf(again.parameters)).toEqual(numbersOf(first.parameters));
  });

  it('accumulates micro-batches to what a batch of all of them gives', async () => {
    const steps = { maxTrainSteps: 2, trainingStep: withoutDropout, schedule: () => 1e-3 };
    const whole = await newState();
    const { events } = await run(whole, { ...steps, batch: (i) => joined(named(2 * i), named(2 * i + 1)) });
    const parts = await newState();
    const accumulated = await run(parts, { ...steps, gradientAccumulationSteps: 2 });
    const lossesOf = (list: TrainEvent[]): number[] =>
      list.flatMap((event) => (event.kind === 'step' ? [event.loss] : []));
    expect(accumulated.end).toBe('done');
    expect(lossesOf(events)).toHaveLength(2);
    expect(lossesOf(accumulated.events)).toBeAllclose(lossesOf(events), { rtol: 1e-5 });
    expect(numbersOf(parts.parameters)).toBeAllclose(numbersOf(whole.parameters), { rtol: 1e-3, atol: 1e-5 });
  });

  it('goes on from a state as if it had never stopped', async () => {
    const whole = await newState({ average: true });
    await run(whole, { gradientAccumulationSteps: 2 });
    const halves = await newState({ average: true });
    const first = await run(halves, {
      gradientAccumulationSteps: 2,
      hooks: { control: () => Promise.resolve({ stop: halves.step === 2 }) },
    });
    expect([first.end, halves.step]).toEqual(['stopped', 2]);
    expect((await run(halves, { gradientAccumulationSteps: 2 })).end).toBe('done');
    expect(halves.step).toBe(4);
    expect(halves).toEqual(whole);
  });

  it('clips the gradient of all tensors together, and tells its norm before', async () => {
    const count = numbersOf((await newState()).parameters).length;
    const update: number[] = [];
    const recording = {
      ...optimizer,
      update: (_: Params, grads: Params, _state: OptimizerState, _lr: number, scale = 1) =>
        update.push(scale * Math.hypot(...numbersOf(grads))),
    };
    const { events } = await run(await newState(), {
      trainingStep: fakeStep(() => 1),
      optimizer: recording,
      maxTrainSteps: 1,
      maxGradNorm: 0.5,
    });
    await run(await newState(), {
      trainingStep: fakeStep(() => 1),
      optimizer: recording,
      maxTrainSteps: 1,
      maxGradNorm: null,
    });
    expect(events).toMatchObject([{ kind: 'step', gradNorm: Math.sqrt(count) }]);
    expect(update).toBeAllclose([0.5, Math.sqrt(count)], { rtol: 1e-5 });
  });

  it('samples, validates and saves when due, and what a person asks for', async () => {
    const told: string[] = [];
    const hook = (
      name: string,
      every: number,
    ): { every: number; atStart: boolean; run(step: number): AsyncGenerator<TrainEvent> } => ({
      every,
      atStart: true,
      async *run(step) {
        told.push(`${name} ${step}`);
        yield { kind: 'log', message: name };
      },
    });
    const hooks = { sample: hook('sample', 3), validate: hook('validate', 4), checkpoint: hook('checkpoint', 2) };
    const { events } = await run(await newState(), { trainingStep: fakeStep(() => 0.1), maxTrainSteps: 5, hooks });
    expect(told).toEqual([
      'sample 0',
      'validate 0',
      'checkpoint 2',
      'sample 3',
      'validate 4',
      'checkpoint 4',
      'sample 5',
      'validate 5',
      'checkpoint 5',
    ]);
    expect(events.filter(({ kind }) => kind === 'log')).toHaveLength(told.length);

    told.length = 0;
    const state = await newState();
    const control = (): Promise<{ stop: boolean; sample: boolean; checkpoint: boolean }> =>
      Promise.resolve({ stop: state.step === 3, sample: state.step === 1, checkpoint: state.step === 1 });
    const quiet = { sample: hook('sample', 0), checkpoint: hook('checkpoint', 0), control };
    await run(state, { trainingStep: fakeStep(() => 0.1), maxTrainSteps: 5, hooks: quiet });
    expect(told).toEqual(['sample 1', 'checkpoint 1', 'checkpoint 3']);
  });

  it('is stopped while it samples, and samples what is due again where it goes on', async () => {
    const told: string[] = [];
    const state = await newState();
    let isStopping = false;
    const hooks: NonNullable<TrainLoraOptions['hooks']> = {
      sample: {
        every: 2,
        atStart: false,
        async *run(step) {
          told.push(`sample ${step}`);
          isStopping = !told.includes(`checkpoint ${step}`);
          yield { kind: 'log', message: 'cut' };
        },
      },
      checkpoint: {
        every: 0,
        async *run(step) {
          told.push(`checkpoint ${step}`);
          yield { kind: 'log', message: 'saved' };
        },
      },
      isStopping: () => isStopping,
    };
    const next = async (): Promise<unknown> => {
      isStopping = false;
      return (await run(state, { trainingStep: fakeStep(() => 0.1), maxTrainSteps: 3, hooks })).end;
    };
    expect([await next(), await next(), await next()]).toEqual(['stopped', 'stopped', 'done']);
    expect(told).toEqual(['sample 2', 'checkpoint 2', 'sample 2', 'sample 3', 'checkpoint 3', 'sample 3']);
  });

  it('leaves out steps that are not finite, and ends where there are too many, with the weights before', async () => {
    const nanAt = (...calls: number[]): TrainingStep => fakeStep((call) => (calls.includes(call) ? Number.NaN : 0.1));
    const state = await newState();
    const skipped = await run(state, { trainingStep: nanAt(1), maxTrainSteps: 3, maxNanLosses: 1 });
    expect(skipped.end).toBe('done');
    expect(skipped.events.map(({ kind }) => kind)).toEqual(['step', 'warning', 'step', 'step']);
    expect(numbersOf(state.parameters).every(Number.isFinite)).toBe(true);

    const saved: number[][] = [];
    const broken = await newState();
    const before = await newState();
    await run(before, { trainingStep: nanAt(), maxTrainSteps: 1 });
    const { end } = await run(broken, {
      trainingStep: nanAt(1, 2),
      maxNanLosses: 1,
      hooks: {
        checkpoint: {
          every: 100,
          async *run() {
            saved.push(numbersOf(broken.parameters));
            yield { kind: 'log', message: 'saved' };
          },
        },
      },
    });
    expect(end).toMatchObject({ name: 'UserError' });
    expect(String(end)).toMatch(
      /The loss of step 3 is not finite \(picture 2\.0 at sigma \d\.\d{3}, picture 2\.1 at sigma .*\)\. The weights before it are kept; /,
    );
    expect(saved).toEqual([numbersOf(before.parameters)]);
  });
});
