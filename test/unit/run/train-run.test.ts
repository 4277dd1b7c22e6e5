import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { loadConfig } from '../../../src/config/load-config.ts';
import { EngineError } from '../../../src/engine/engine-error.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { createEngine } from '../../../src/run/create-engine.ts';
import { trainRun } from '../../../src/run/train-run.ts';
import { tinyRun } from '../../e2e/training.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-lost-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const lost = new EngineError('lost', 'The device of the engine webgpu was lost (a cable).');

/** The CPU by another name, whose device is lost in the middle of its third step. */
function losing(engine: Engine): Engine {
  let steps = 0;
  return {
    ...engine,
    async compile(graph, weights, options) {
      const executable = await engine.compile(graph, weights, options);
      if (!graph.outputs.has('loss')) return executable;
      return {
        ...executable,
        run: (feeds) => (++steps > STEPS_DONE * ACCUMULATION + 1 ? Promise.reject(lost) : executable.run(feeds)),
      };
    },
  };
}
const STEPS_DONE = 2;
const ACCUMULATION = 2; // tinyRun's

interface Ended {
  readonly events: readonly TrainEvent[];
  readonly error?: unknown;
  /** The bytes of the adapter that came out. */
  readonly adapter?: Buffer;
}

async function run(name: string, model: { engine: 'cpu' | 'webgpu'; engine_failure: 'stop' | 'cpu' }): Promise<Ended> {
  const path = await tinyRun(join(folder, 'in'), { steps: 4 });
  const { config } = await loadConfig(path);
  const runDir = join(folder, name);
  const events: TrainEvent[] = [];
  try {
    const tiny = {
      ...config,
      run_dir: runDir,
      model: { ...config.model, ...model },
      sample: { ...config.sample, every: 0 },
    };
    const options = { config: tiny, name, version: '0', resume: 'auto' };
    const openEngine: typeof createEngine = ({ engine, threads }) => {
      const cpu = createEngine({ engine: 'cpu', threads });
      return engine === 'webgpu' ? losing(cpu) : cpu;
    };
    for await (const event of trainRun({ ...options, openEngine })) events.push(event);
  } catch (error) {
    return { events, error };
  }
  const file = join(runDir, 'adapter', 'pytorch_lora_weights.safetensors');
  return { events, adapter: await readFile(file) };
}

const stepsOf = ({ events }: Ended): readonly number[] =>
  events.flatMap((event) => (event.kind === 'step' ? [event.step] : []));

describe('trainRun on a device that is lost', () => {
  it('stops with a sentence, and has saved the steps that were done', async () => {
    const ended = await run('stop', { engine: 'webgpu', engine_failure: 'stop' });
    expect(ended.error).toBe(lost);
    expect(stepsOf(ended)).toEqual([1, 2]);
    expect(ended.events.at(-1)).toMatchObject({ kind: 'checkpoint', step: 2 });
  }, 60_000);

  it('goes on on the CPU where the config says so, to the same weights', async () => {
    const whole = await run('whole', { engine: 'cpu', engine_failure: 'stop' });
    const lostOne = await run('lost', { engine: 'webgpu', engine_failure: 'cpu' });
    expect(lostOne.error).toBeUndefined();
    expect(stepsOf(lostOne)).toEqual([1, 2, 3, 4]);
    expect(lostOne.events).toContainEqual({
      kind: 'warning',
      message: `${lost.message} As model.engine_failure says, the run goes on on the CPU.`,
    });
    expect(lostOne.adapter?.equals(whole.adapter ?? Buffer.of())).toBe(true);
  }, 60_000);
});

describe('trainRun that is stopped at its last pictures', () => {
  it('ends there, and makes the others when it goes on', async () => {
    const { config } = await loadConfig(await tinyRun(join(folder, 'in'), { steps: 2 }));
    const two = {
      ...config,
      run_dir: join(folder, 'pictures'),
      sample: { ...config.sample, at_start: false, num_images_per_prompt: 2 },
    };
    const pictures: string[] = [];
    const ends: string[] = [];
    /** Runs until the first picture of the first time. */
    async function runOn(): Promise<void> {
      const stop = new AbortController();
      const options = { config: two, name: 'pictures', version: '0', resume: 'auto', signal: stop.signal };
      for await (const event of trainRun({ ...options, control: () => Promise.resolve({ stop: false }) })) {
        if (event.kind === 'end') ends.push(event.reason);
        if (event.kind !== 'sample') continue;
        pictures.push(event.path);
        if (pictures.length === 1) stop.abort();
      }
    }
    await runOn();
    expect(ends).toEqual(['stopped']);
    await runOn();
    expect(ends).toEqual(['stopped', 'done']);
    expect(pictures).toEqual(['samples/1/step-000002.png', 'samples/2/step-000002.png']);
  }, 60_000);
});
