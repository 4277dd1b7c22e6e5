import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Config } from '../config/schema.ts';
import type { TrainEvent } from '../events.ts';
import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { writeBytes, writeText } from '../io/atomic-write.ts';
import { adapterFileName, readAdapter, writeAdapter } from '../lora/adapter-file.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { sanaModules } from '../models/sana-transformer-config.ts';
import type { Params } from '../optim/optimizer.ts';
import { exportFolder, exportFormats, formatsOf, isAsTrained } from './export-formats.ts';
import { type CardPicture, modelCard } from './model-card.ts';
import { pushRun } from './push-run.ts';
import type { RunMetrics } from './run-metrics.ts';
import type { RunSampler } from './run-samples.ts';
import { makeSamples, samplePath } from './run-samples.ts';

/** A model card shows no more: enough to see what was learned. */
const shownPictures = 8;

/** What is exported. */
export interface ExportRunOptions {
  readonly config: Config;
  readonly runDir: string;
  readonly step: number;
  readonly modules: AdaptedModules;
  readonly parameters: Params;
  readonly sampler: RunSampler;
  /** What measured its samples. */
  readonly metrics?: Pick<RunMetrics, 'first' | 'last'>;
  readonly signal?: AbortSignal;
}

/**
 * Writes adapter/: the files and a model card with the last pictures, and pushes them where the config says so. Before it is reported as done the file is read back
 * and must hold the trained numbers, and make the same picture.
 *
 * @throws UserError when what was read back is not what was trained
 */
export async function* exportRun({
  config,
  runDir,
  step,
  modules,
  parameters,
  sampler,
  metrics,
  signal,
}: ExportRunOptions): AsyncGenerator<TrainEvent> {
  const folder = exportFolder(config, runDir);
  const path = join(folder, adapterFileName);
  yield { kind: 'stage', stage: 'export', done: 0, total: 1, what: 'adapter' };
  await mkdir(folder, { recursive: true });
  const formats = formatsOf(config, modules);
  if (formats.includes('diffusers') && isAsTrained(config, modules)) {
    yield* exportTrained({ config, runDir, step, modules, parameters, sampler, ...(signal && { signal }) }, path);
    const shown = config.export.output === null ? `adapter/${adapterFileName}` : path;
    yield { kind: 'export', format: 'diffusers', path: shown };
  }
  yield* exportFormats(config, runDir, step, { modules, tensors: parameters }, sampler);
  const pictures = await copyPictures(folder, step, sampler);
  await writeText(join(folder, 'README.md'), modelCard(config, formats, sampler, pictures, metrics));
  yield { kind: 'stage', stage: 'export', done: 1, total: 1, what: 'adapter' };
  if (config.export.push_to_hub !== null) yield* pushAtEnd(config, runDir, config.export.push_to_hub, signal);
}

/** The last pictures, which the model card shows: copies in samples/. Gives their names. */
async function copyPictures(
  folder: string,
  step: number,
  { runDir, samples }: RunSampler,
): Promise<readonly CardPicture[]> {
  const pictures: CardPicture[] = [];
  for (const [i, { prompt, seed }] of samples.slice(0, shownPictures).entries()) {
    const bytes = await readFile(join(runDir, samplePath(i, step))).catch(() => undefined);
    if (!bytes) continue;
    const name = `samples/${i + 1}.png`;
    await mkdir(join(folder, 'samples'), { recursive: true });
    await writeBytes(join(folder, name), bytes);
    pictures.push({ name, prompt, seed });
  }
  return pictures;
}

/** Pushes what was written. That it cannot be is no reason to call the run failed: it can be done later. */
async function* pushAtEnd(
  config: Config,
  runDir: string,
  id: string,
  signal?: AbortSignal,
): AsyncGenerator<TrainEvent> {
  try {
    const options = { isPrivate: config.export.hub_private, ...(signal && { signal }) };
    const url = await pushRun(config, runDir, id, options);
    yield { kind: 'log', message: `pushed to ${url}` };
  } catch (error) {
    if (!(error instanceof UserError) && signal?.aborted !== true) throw error;
    const why = error instanceof UserError ? error.message : 'Pushing was stopped.';
    const isPrivate = config.export.hub_private ? ' --private' : '';
    yield {
      kind: 'warning',
      message: `The adapter is done, and was not pushed to ${id}. ${why} Then: sana-train export ${runDir} --push ${id}${isPrivate}`,
    };
  }
}

/** Writes what was trained, reads it back, and makes the first picture again with it. */
async function* exportTrained(
  { config, runDir, step, modules, parameters, sampler, signal }: ExportRunOptions,
  path: string,
): AsyncGenerator<TrainEvent> {
  const { dtype } = config.export;
  await writeAdapter(path, { modules, tensors: parameters }, { rslora: config.lora.rslora, dtype: storage[dtype] });

  const back = await readAdapter(path, sanaModules(sampler.pipeline.transformerConfig));
  const tolerance = dtype === 'fp32' ? 0 : dtype === 'fp16' ? 2 ** -10 : 2 ** -7;
  for (const [name, { data }] of parameters) {
    const values = toFloat32(back.tensors.get(name) ?? { dtype: 'float32', shape: [0], data: new Float32Array() });
    const largest = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    if (
      values.length !== data.length ||
      values.some((value, i) => !(Math.abs(value - (data[i] ?? 0)) <= tolerance * largest))
    ) {
      throw new UserError(
        `${path} does not hold the trained weights (${name} differs); the disk may be failing. The last checkpoint is whole.`,
      );
    }
  }
  const [first] = sampler.samples;
  if (first && dtype === 'fp32') {
    const picture = join(runDir, samplePath(0, step));
    const trained = await readFile(picture).catch(() => undefined);
    if (trained) {
      const check = { ...sampler, samples: [first] };
      const loaded = new Map(
        [...back.tensors].map(([name, value]) => [
          name,
          { ...value, dtype: 'float32' as const, data: toFloat32(value) },
        ]),
      );
      for await (const event of makeSamples(check, step, back.modules, loaded, signal))
        if (event.kind === 'warning') yield event;
      if (Buffer.compare(trained, await readFile(picture)) !== 0) {
        await writeBytes(picture, trained);
        throw new UserError(
          `The exported adapter ${path} makes another picture than the trained one did; please report this as a bug.`,
        );
      }
    }
  }
}

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;
