import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Command } from 'commander';
import pMap from 'p-map';
import sharp from 'sharp';

import { openCache } from '../datasets/cache.ts';
import { decodeConcurrency } from '../datasets/decode-concurrency.ts';
import { loadDatasets } from '../datasets/load-datasets.ts';
import { parseConfig } from '../src/config/load-config.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import { createTimestepSampler } from '../src/flow/timestep-sampling.ts';
import { openPipeline } from '../src/pipeline/open-pipeline.ts';
import { createRandom } from '../src/random.ts';
import { cacheLatents, cachePrompts, createCacheRepair } from '../src/run/fill-cache.ts';
import { planRun, plannedPrompts, plannedSamples } from '../src/run/run-plan.ts';
import { trainingBatch } from '../src/run/training-batches.ts';

/**
 * Adds `bench pictures`: resident memory while many small pictures are checked, cached and put into batches, by the
 * run's own code and a tiny random pipeline. It may grow with what is known of a picture, some kilobytes, and with
 * nothing else.
 */
export function addPicturesCommand(program: Command): void {
  program
    .command('pictures')
    .description('memory while many pictures are checked, cached and put into batches')
    .option('--count <n>', 'pictures', Number, 10_000)
    .action(async ({ count }: { readonly count: number }) => {
      const folder = await mkdtemp(join(tmpdir(), 'sana-train-pictures-'));
      try {
        await measure(folder, count);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
}

async function measure(folder: string, count: number): Promise<void> {
  const pictures = join(folder, 'pictures');
  await writePictures(pictures, count);
  const model = join(import.meta.dirname, '..', 'test', 'parity', 'goldens', 'plain', 'pipeline');
  const { config } = await parseConfig({
    model,
    dataset: { path: pictures, resolution: 64, minimum_image_size: 32, cache_dir: join(folder, 'cache') },
    train: { num_train_epochs: 1, train_batch_size: 4 },
    sample: { every: 0 },
    run_dir: join(folder, 'run'),
  });
  const report = reporter(count);
  const datasets = [{ folder: pictures, name: 'pictures', resolutions: [64], minSide: 32 }];
  const { examples } = await loadDatasets(datasets, { onProgress: ({ done }) => report('check', done) });

  const engine = createOnnxruntimeEngine();
  const pipeline = await openPipeline(model);
  const cache = await openCache(join(folder, 'cache'));
  const models = { vaeKey: 'vae', textPrecision: 'fp32' as const, textKey: 'text', chi: null, maxSequenceLength: 24 };
  const plan = planRun(config, pipeline, examples);
  const stage = { engine, cache, models };
  const prompts = plannedPrompts(plan, 0, models);
  for await (const event of cachePrompts(prompts, { ...stage, loadEncoder: pipeline.loadPromptEncoder }))
    if (event.kind === 'stage') report('captions', event.done);
  for await (const event of cacheLatents(plannedSamples(plan, 0), { ...stage, loadVae: pipeline.loadVae }))
    if (event.kind === 'stage') report('latents', event.done);

  const maker = {
    cache,
    models,
    repair: createCacheRepair(stage, pipeline),
    scalingFactor: 1,
    unmaskedWeight: () => 0,
  };
  const noise = { sampling: 'none', sampler: createTimestepSampler({ sampling: 'none', flowShift: 3 }) } as const;
  let index = 0;
  let done = 0;
  for (const batch of plan.batches(0)) {
    await trainingBatch(batch, index++, maker, noise, createRandom('noise'));
    report('batches', (done += batch.samples.length));
  }
  await engine.close();
}

/** Prints resident memory at a tenth, a quarter, a half and the end of each stage. */
function reporter(count: number): (stage: string, done: number) => void {
  const marks = [0.1, 0.25, 0.5, 1].map((share) => Math.round(share * count));
  console.log(`| stage | ${marks.map((mark) => `${mark} pictures`).join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(marks.length)}`);
  const seen = new Map<string, number[]>();
  return (stage, done) => {
    const row = seen.get(stage) ?? [];
    seen.set(stage, row);
    const mark = marks[row.length];
    if (mark === undefined || done < mark) return;
    row.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
    if (row.length === marks.length) console.log(`| ${stage} | ${row.map((mib) => `${mib} MiB`).join(' | ')} |`);
  };
}

async function writePictures(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  await pMap(
    Array.from({ length: count }, (_, i) => String(i).padStart(6, '0')),
    async (name) => {
      const pixels = Uint8Array.from(createRandom(name).normals(8 * 8 * 3), (value) => 128 + 40 * value);
      await sharp(pixels, { raw: { width: 8, height: 8, channels: 3 } })
        .resize(96, 96, { kernel: 'cubic' })
        .jpeg()
        .toFile(join(folder, `${name}.jpg`));
      await writeFile(join(folder, `${name}.txt`), `picture number ${name}`);
    },
    { concurrency: decodeConcurrency },
  );
}
