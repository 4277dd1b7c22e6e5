import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { type Command, Option } from 'commander';

import { loadExamples } from '../datasets/load-example.ts';
import { loadDatasets } from '../datasets/load-datasets.ts';
import { plainSample } from '../datasets/sample.ts';
import { loadConfig } from '../src/config/load-config.ts';
import { datasetOptions } from '../src/config/options.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import type { Engine } from '../src/engine/engine.ts';
import { float32, type Tensor, toFloat32 } from '../src/graph/tensor.ts';
import { adapterFileName } from '../src/lora/adapter-file.ts';
import { readAnyAdapter } from '../src/lora/formats/read-any-adapter.ts';
import { cosine } from '../src/metrics/cosine.ts';
import { createDcAe } from '../src/models/dc-ae.ts';
import { encodePrompts, padPromptEmbeds } from '../src/models/encode-prompts.ts';
import { createPredictor } from '../src/models/predict-velocity.ts';
import { basePrecisions } from '../src/models/precisions.ts';
import { sanaModules } from '../src/models/sana-transformer-config.ts';
import { bundledModel, modelFolder } from '../src/pipeline/model-folder.ts';
import { openPipeline, type SanaPipeline } from '../src/pipeline/open-pipeline.ts';
import { createRandom } from '../src/random.ts';
import { readEvents } from '../src/run/event-log.ts';
import { chiLines } from '../src/text/chi.ts';

const root = join(import.meta.dirname, '..');
const sigmas = Array.from({ length: 16 }, (_, i) => (i + 0.5) / 16);

interface PrecisionOptions {
  readonly precision: (typeof basePrecisions)[number];
  readonly config: string;
}

/**
 * Adds `bench precision`: trains a config in fp32 and in another precision, with the same seeds, and compares the losses
 * and what the two adapters do to the fp32 model's predictions.
 */
export function addPrecisionCommand(program: Command): void {
  program
    .command('precision')
    .description("what a precision of the frozen weights does to training on sana-pico: loss, and the adapter's effect")
    .addOption(
      new Option('--precision <name>', 'beside fp32')
        .choices(basePrecisions.filter((name) => name !== 'fp32'))
        .default('int8'),
    )
    .option('--config <file>', 'of a run on sana-pico', join(root, 'configs', 'dog.yaml'))
    .action(async ({ precision, config }: PrecisionOptions) => {
      const folder = await mkdtemp(join(tmpdir(), 'sana-train-precision-'));
      const engine = createOnnxruntimeEngine();
      try {
        const runs = { fp32: join(folder, 'fp32'), other: join(folder, precision) };
        await train(config, 'fp32', runs.fp32, folder);
        await train(config, precision, runs.other, folder);
        const losses = [await meanLoss(runs.fp32), await meanLoss(runs.other)] as const;
        const pipeline = await openPipeline(modelFolder(bundledModel));
        const [exact, other] = await effectsOf(engine, pipeline, config, [runs.fp32, runs.other]);
        if (!exact || !other) throw new RangeError('bench precision: two adapters expected');
        console.log(`mean loss: fp32 ${losses[0].toFixed(5)}, ${precision} ${losses[1].toFixed(5)}`);
        console.log(`ratio of mean losses: ${(losses[1] / losses[0]).toFixed(4)}`);
        console.log(`cosine of the change in prediction: ${cosine(exact, other).toFixed(4)}`);
      } finally {
        await engine.close();
        await rm(folder, { recursive: true, force: true });
      }
    });
}

/** Trains in a process of its own, without samples; both runs have the same class pictures. */
async function train(config: string, precision: string, runDir: string, folder: string): Promise<void> {
  const options = [
    `run_dir=${runDir}`,
    `train.precision=${precision}`,
    `dataset.class_data_dir=${join(folder, 'class')}`,
    'sample.every=0',
    'sample.prompts=[]',
  ].flatMap((option) => ['--set', option]);
  const main = join(root, 'src', 'cli', 'main.ts');
  await promisify(execFile)(process.execPath, [...process.execArgv, main, config, '--ui', 'plain', ...options], {
    cwd: root,
    maxBuffer: 2 ** 26,
  });
}

async function meanLoss(runDir: string): Promise<number> {
  const losses: number[] = [];
  for await (const event of readEvents(runDir)) if (event.kind === 'step') losses.push(event.loss);
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** How each adapter changes what the fp32 model predicts for the config's pictures under noise and its first prompts. */
async function effectsOf(
  engine: Engine,
  pipeline: SanaPipeline,
  configPath: string,
  runs: readonly string[],
): Promise<readonly Float32Array[]> {
  const { config } = await loadConfig(configPath, { cwd: root });
  const prompts = config.sample.prompts.slice(0, 4).map(({ prompt }) => prompt);
  const encoder = await pipeline.loadPromptEncoder();
  const encoded = await encodePrompts(engine, encoder, prompts, { chi: chiLines.diffusers });
  const clean = await latentsOf(engine, pipeline, datasetOptions(config.dataset, pipeline.defaultSize));
  const [first] = clean;
  if (!first) throw new RangeError('bench precision: no pictures');
  const [, ...shape] = first.shape;
  const random = createRandom('bench precision');
  const noisy = sigmas.flatMap((sigma, i) => {
    const x0 = toFloat32(clean[i % clean.length] ?? first);
    const noise = random.normals(x0.length);
    return [...x0].map((x, j) => (1 - sigma) * x + sigma * (noise[j] ?? 0));
  });
  const conditions = {
    ...padPromptEmbeds(sigmas.map((_, i) => encoded[i % encoded.length] ?? { promptEmbeds: float32([0, 1], []) })),
    timesteps: sigmas.map((sigma) => 1000 * sigma),
  };
  const model = await pipeline.loadTransformer();
  const predictions: Float32Array[] = [];
  for (const run of [undefined, ...runs]) {
    const file = run === undefined ? undefined : join(run, 'adapter', adapterFileName);
    const adapter = file === undefined ? undefined : await readAnyAdapter(file, sanaModules(model.config));
    const predictor = await createPredictor(engine, model, adapter ? [adapter.modules] : []);
    const x = float32([sigmas.length, ...shape], noisy);
    predictions.push(toFloat32(await predictor.predict(x, conditions, adapter ? [adapter.tensors] : [])));
    await predictor.dispose();
  }
  const [plain, ...adapted] = predictions;
  return adapted.map((values) => values.map((value, i) => value - (plain?.[i] ?? 0)));
}

async function latentsOf(
  engine: Engine,
  pipeline: SanaPipeline,
  datasets: Parameters<typeof loadDatasets>[0],
): Promise<readonly Tensor[]> {
  const { examples } = await loadDatasets(datasets);
  const samples = examples.flatMap((example) => example.buckets.map((bucket) => plainSample(example, bucket)));
  const vae = createDcAe(engine, await pipeline.loadVae());
  const latents: Tensor[] = [];
  for await (const { pixels } of loadExamples(samples)) {
    const encoded = await vae.encode({ ...pixels, shape: [1, ...pixels.shape] });
    const values = toFloat32(encoded).map((value) => value * vae.scalingFactor);
    latents.push(float32(encoded.shape, values));
  }
  await vae.dispose();
  return latents;
}
