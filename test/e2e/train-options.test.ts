import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadDatasets } from '../../datasets/load-datasets.ts';
import { parseConfig } from '../../src/config/load-config.ts';
import { classDatasetOptions, datasetOptions } from '../../src/config/options.ts';
import type { TrainEvent } from '../../src/events.ts';
import { toFloat32 } from '../../src/graph/tensor.ts';
import { openSafetensors, readTensor } from '../../src/io/safetensors.ts';
import { readEvents } from '../../src/run/event-log.ts';
import { tinyRun, train } from './training.ts';

let folder = '';
let config = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-options-'));
  config = await tinyRun(folder, { steps: 2 });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs the tiny config with other options; its record comes back. */
async function run(name: string, ...options: readonly string[]): Promise<readonly TrainEvent[]> {
  const all = ['sample.every=0', 'sample.prompts=[]', 'log.report=false', ...options];
  const runDir = join(folder, name);
  const { exitCode, stderr } = await train(config, { runDir, args: all.flatMap((option) => ['--set', option]) });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const events: TrainEvent[] = [];
  for await (const event of readEvents(runDir)) events.push(event);
  return events;
}

function ofKind<K extends TrainEvent['kind']>(
  events: readonly TrainEvent[],
  kind: K,
): readonly Extract<TrainEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<TrainEvent, { kind: K }> => event.kind === kind);
}

async function adapterValues(name: string): Promise<readonly number[]> {
  const { tensors } = await openSafetensors(join(folder, name, 'adapter', 'pytorch_lora_weights.safetensors'));
  const values: number[] = [];
  for (const location of tensors.values()) values.push(...toFloat32(await readTensor(location)));
  return values;
}

describe('prior preservation and validation', () => {
  const classes = (): string => join(folder, 'class');
  const options = (images: number): readonly string[] => [
    'train.with_prior_preservation=true',
    'dataset.instance_prompt=a photo of sks dog',
    'dataset.class_prompt=a photo of dog',
    `dataset.class_data_dir=${classes()}`,
    `dataset.num_class_images=${images}`,
    'train.prior_loss_weight=0.5',
    // Four pictures in batches of three and one, twice.
    'dataset.validation_count=1',
    'train.validation_steps=1',
    'train.train_batch_size=3',
    'train.gradient_accumulation_steps=1',
    'train.max_train_steps=null',
    'train.num_train_epochs=2',
    // Nothing is learned, so that what is measured again has to be the same number.
    'train.learning_rate=1e-30',
    'lora.dropout=0',
  ];
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

  it('makes the class pictures that are missing, weighs them right in every batch, and measures the same twice', async () => {
    const events = await run('prior', ...options(2));
    expect((await readdir(classes())).sort()).toEqual(['class-00000.png', 'class-00001.png']);

    const steps = ofKind(events, 'step');
    expect(steps.map(({ examples }) => examples.length)).toEqual(expect.arrayContaining([6, 2]));
    expect(steps).toHaveLength(4);
    for (const { loss, examples } of steps) {
      const half = examples.length / 2;
      const [instances, priors] = [examples.slice(0, half), examples.slice(half)];
      expect(instances.every(({ id }) => id.startsWith('photos/'))).toBe(true);
      expect(priors.every(({ id }) => id.startsWith('class/class/class-0000'))).toBe(true);
      const expected = mean(instances.map((one) => one.loss)) + 0.5 * mean(priors.map((one) => one.loss));
      expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-5);
    }
    // Every picture that is trained is there with its loss, once an epoch; the one that is held out is not.
    const ids = steps.flatMap(({ examples }) => examples.slice(0, examples.length / 2).map(({ id }) => id));
    expect([...new Set(ids)].map((id) => ids.filter((other) => other === id).length)).toEqual([2, 2, 2, 2]);

    const validations = ofKind(events, 'validation');
    expect(validations.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(validations.map(({ loss }) => loss)).size).toBe(1);
    expect(validations[0]?.bins).toHaveLength(4);
  });

  it('adds what a larger number lacks, and leaves the pictures that are there', async () => {
    const before = await stat(join(classes(), 'class-00000.png'));
    const events = await run('prior-3', ...options(3));
    expect(await readdir(classes())).toHaveLength(3);
    expect((await stat(join(classes(), 'class-00000.png'))).mtimeMs).toBe(before.mtimeMs);
    const made = ofKind(events, 'stage').filter(({ what }) => what === 'class pictures');
    expect(made.at(-1)).toMatchObject({ done: 1, total: 1 });
  });
});

describe('several class prompts', () => {
  it('come by turns, each picture with its own, and only those that are missing are made', async () => {
    const classes = join(folder, 'classes');
    const options = (images: number): readonly string[] => [
      'train.with_prior_preservation=true',
      'dataset.instance_prompt=a photo of sks dog',
      'dataset.class_prompt=["a brown dog", "a gray cat"]',
      `dataset.class_data_dir=${classes}`,
      `dataset.num_class_images=${images}`,
      'train.max_train_steps=1',
    ];
    await run('classes', ...options(2));
    const first = await stat(join(classes, 'class-00000.png'));
    await run('classes-3', ...options(3));
    expect((await stat(join(classes, 'class-00000.png'))).mtimeMs).toBe(first.mtimeMs);
    const source = { path: classes, class_prompt: ['a brown dog', 'a gray cat'], minimum_image_size: 32 };
    const { config: parsed } = await parseConfig({ model: 'sana-pico', dataset: source, run_dir: 'run' });
    const priors = parsed.dataset.sources.flatMap((each) => classDatasetOptions(each, classes, 256) ?? []);
    const { examples } = await loadDatasets([...datasetOptions(parsed.dataset, 256), ...priors]);
    const made = examples.filter(({ dataset }) => dataset.kind === 'class');
    expect(made.map(({ captions }) => captions.map(({ text }) => text))).toEqual([
      ['a brown dog'],
      ['a gray cat'],
      ['a brown dog'],
    ]);
  });
});

describe('gradient_checkpointing and init_from', () => {
  it('comes to the same adapter with recomputing, from the adapter of another run', async () => {
    await run('start');
    const from = `lora.init_from=${join(folder, 'start', 'adapter', 'pytorch_lora_weights.safetensors')}`;
    const events = await run('kept', from);
    expect(ofKind(events, 'log').map(({ message }) => message)).toContainEqual(
      expect.stringContaining('lora.init_from: 12 layers of rank 2'),
    );
    await run('recomputed', from, 'train.gradient_checkpointing=true');
    const [start, kept, recomputed] = [
      await adapterValues('start'),
      await adapterValues('kept'),
      await adapterValues('recomputed'),
    ];
    const farthest = (values: readonly number[], others: readonly number[]): number =>
      Math.max(...values.map((value, i) => Math.abs(value - (others[i] ?? Number.NaN))));
    expect(farthest(recomputed, kept)).toBeLessThan(1e-5);
    // Two steps of 1e-3 from where it started.
    expect(farthest(kept, start)).toBeLessThan(0.01);
    expect(farthest(kept, start)).toBeGreaterThan(1e-4);
  });
});
