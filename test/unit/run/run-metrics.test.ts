import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { parseConfig } from '../../../src/config/load-config.ts';
import { datasetOptions } from '../../../src/config/options.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { withPngTexts } from '../../../src/pipeline/png-text.ts';
import { createRunMetrics, type RunMetrics } from '../../../src/run/run-metrics.ts';
import { type RunSample, samplePath } from '../../../src/run/run-samples.ts';

const dogs = join(import.meta.dirname, '../../../examples/dog');
const prompts = ['a photo of sks dog', 'a photo of a cat on the beach'];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'metrics-'));
  // At step 0 two plain pictures, at step 10 a training picture and the same plain one as before.
  for (const [index, prompt] of prompts.entries()) {
    const [before, after] = [0, 10].map((step) => join(folder, samplePath(index, step))) as [string, string];
    await mkdir(dirname(before), { recursive: true });
    const plain = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#c08040' } })
      .png()
      .toBuffer();
    await writeFile(before, withPngTexts(plain, { parameters: `${prompt}\nSteps: 1` }));
    await copyFile(index === 0 ? join(dogs, '01.png') : before, after);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function metricsOf(sample: object): Promise<RunMetrics | undefined> {
  const { config } = await parseConfig(
    { model: 'sana-pico', dataset: { path: dogs, trigger_word: 'sks', cache_dir: folder }, sample },
    { checkFiles: false, cwd: folder },
  );
  const { examples } = await loadDatasets(datasetOptions(config.dataset, 64));
  const request = { negativePrompt: '', width: 64, height: 64, steps: 1, guidanceScale: 1, seed: 0 };
  const samples = prompts.map((prompt): RunSample => ({ prompt, ...request }));
  return createRunMetrics({ config, runDir: folder, samples, examples, sourceOf: () => 0 });
}

async function all(events: AsyncIterable<TrainEvent> | undefined): Promise<readonly TrainEvent[]> {
  const list: TrainEvent[] = [];
  for await (const event of events ?? []) list.push(event);
  return list;
}

describe('createRunMetrics', () => {
  it('measures the subject by the training pictures and the class by step 0, also in a run that was resumed', async () => {
    const metrics = await metricsOf({ prompts });
    const [event, ...others] = await all(metrics?.measure(10));
    expect(others).toEqual([]);
    expect(event).toMatchObject({ kind: 'metrics', step: 10, model: 'clip-pico' });
    const [dog, cat] = metrics?.last?.samples ?? [];
    expect(dog).toMatchObject({ index: 0, role: 'subject' });
    expect(dog?.clipI).toBeGreaterThan(0.7);
    expect(cat?.role).toBe('class');
    expect(cat?.clipIToStart).toBeCloseTo(1, 5);
    expect(metrics?.first).toMatchObject({ step: 0, samples: [{ index: 0 }, { index: 1 }] });
    expect(metrics?.first?.subject?.clipI).toBeLessThan(0.5);
  }, 120_000);

  it.each([
    ['is none', (): string => join(folder, 'samples')],
    ['is not there and may not be fetched', (): string => 'owner/clip'],
  ])(
    'warns once and goes on where the CLIP %s',
    async (_, clip) => {
      vi.stubEnv('HF_HUB_OFFLINE', '1');
      const metrics = await metricsOf({ prompts, clip_model: clip() });
      const events = (await all(metrics?.measure(10))).filter(({ kind }) => kind !== 'log');
      expect(events).toMatchObject([
        { kind: 'warning', message: expect.stringContaining('samples are not measured any more') as string },
      ]);
      expect(await all(metrics?.measure(20))).toEqual([]);
      vi.unstubAllEnvs();
    },
    120_000,
  );

  it('is not there for none', async () => {
    expect(await metricsOf({ prompts, clip_model: 'none' })).toBeUndefined();
  });
});
