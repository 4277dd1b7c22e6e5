import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { loadConfig } from '../config/load-config.ts';
import type { Config } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { Stage, StepSeconds, TimedEvent } from '../events.ts';
import { createSeries, type Series } from '../log/series.ts';
import { readEvents } from '../run/event-log.ts';
import { createPictureLosses, type PictureLoss } from './picture-losses.ts';

/** A picture that a run made on its way. */
export type SampleRecord = Extract<TimedEvent, { kind: 'sample' }>;

/** What a CLIP says of a step's samples. */
export type MetricsRecord = Extract<TimedEvent, { kind: 'metrics' }>;

/** A loss on held-out pictures. */
type ValidationRecord = Extract<TimedEvent, { kind: 'validation' }>;

/** What a run's folder says of it. */
export interface RunRecord {
  readonly runDir: string;
  /** The folder's own name: what tells runs of one config apart. */
  readonly label: string;
  readonly name: string;
  readonly model: string;
  /** Undefined where config.yaml is missing or of another version. */
  readonly config: Config | undefined;
  readonly step: number;
  readonly maxTrainSteps: number;
  readonly state: 'under way' | 'done' | 'stopped' | 'failed';
  /** Milliseconds since 1970 of the first event. */
  readonly began: number;
  readonly loss: Series;
  readonly learningRate: Series;
  readonly gradNorm: Series;
  /** On held-out pictures; and by names of bands of noise level. */
  readonly validation: Series;
  readonly validationBins: ReadonlyMap<string, Series>;
  /** What a CLIP says of samples, by step. */
  readonly metrics: readonly MetricsRecord[];
  /** By prompt and step, in the order of the first; a step that was made again stands once. */
  readonly samples: readonly SampleRecord[];
  readonly pictures: readonly PictureLoss[];
  /** Seconds in all, of each stage as far as it took place. */
  readonly stageSeconds: ReadonlyMap<Stage, number>;
  /** Mean of the optimizer steps. */
  readonly stepSeconds: StepSeconds;
  /** In all, of measuring samples. */
  readonly metricsSeconds: number;
  readonly peakMemoryMiB: number;
  readonly warnings: readonly string[];
  /** What was exported: format, and path relative to the run's folder; of what lies elsewhere its name. */
  readonly exports: readonly { readonly format: string; readonly path: string; readonly bytes: number | undefined }[];
}

/**
 * Reads what a run's folder says of it, in memory that does not grow with its steps.
 * @throws UserError when the folder holds no run
 */
export async function readRunRecord(runDir: string): Promise<RunRecord> {
  const [loss, learningRate, gradNorm] = [createSeries(), createSeries(), createSeries()];
  const samples = new Map<string, SampleRecord>();
  const validations = new Map<number, ValidationRecord>();
  const metrics = new Map<number, MetricsRecord>();
  const exports = new Map<string, string>();
  const warnings = new Set<string>();
  const pictures = createPictureLosses();
  const stageSeconds = new Map<Stage, number>();
  const sums = { steps: 0, data: 0, compute: 0, update: 0 };
  let run: Extract<TimedEvent, { kind: 'run' }> | undefined;
  let [step, peakMemoryMiB, began, maxTrainSteps, metricsSeconds] = [0, 0, 0, 0, 0];
  let state: RunRecord['state'] = 'under way';
  let stage = { key: '', done: 0, time: 0 };
  const addSeconds = (name: Stage, seconds: number): void => {
    stageSeconds.set(name, (stageSeconds.get(name) ?? 0) + seconds);
  };

  for await (const event of readEvents(runDir)) {
    began ||= event.time;
    switch (event.kind) {
      case 'run':
        // What comes after the checkpoint that it goes on from is made again.
        for (const series of [loss, learningRate, gradNorm]) series.truncate(event.firstStep);
        for (const key of validations.keys()) if (key > event.firstStep) validations.delete(key);
        for (const key of metrics.keys()) if (key > event.firstStep) metrics.delete(key);
        for (const [key, sample] of samples) if (sample.step > event.firstStep) samples.delete(key);
        run = event;
        state = 'under way';
        ({ firstStep: step, maxTrainSteps } = event);
        break;
      case 'step': {
        ({ step, maxTrainSteps } = event);
        loss.add(step, event.loss);
        learningRate.add(step, event.learningRate);
        gradNorm.add(step, event.gradNorm);
        for (const example of event.examples) pictures.add(example);
        sums.steps++;
        for (const part of ['data', 'compute', 'update'] as const) sums[part] += event.seconds[part];
        const { data, compute, update } = event.seconds;
        addSeconds('train', data + compute + update);
        peakMemoryMiB = Math.max(peakMemoryMiB, event.memoryMiB);
        break;
      }
      case 'validation':
        validations.set(event.step, event);
        break;
      case 'sample':
        addSeconds('sample', event.seconds);
        samples.set(`${event.index} ${event.step}`, event);
        break;
      case 'export':
        if (event.format !== 'report') exports.set(event.path, event.format);
        break;
      case 'warning':
        warnings.add(event.message);
        break;
      case 'end':
        state = event.reason;
        if (event.reason === 'failed' && event.message !== undefined) warnings.add(event.message);
        break;
      case 'stage': {
        // Steps and pictures tell their own seconds.
        if (event.stage === 'train' || event.stage === 'sample') break;
        const key = `${event.stage} ${event.what ?? ''}`;
        if (key === stage.key && event.done >= stage.done) addSeconds(event.stage, (event.time - stage.time) / 1000);
        stage = { key, done: event.done, time: event.time };
        break;
      }
      case 'metrics':
        metrics.set(event.step, event);
        metricsSeconds += event.seconds;
        break;
      case 'checkpoint':
      case 'log':
        break;
    }
  }
  if (!run) {
    const there = await readdir(runDir).catch(() => undefined);
    throw new UserError(
      there
        ? `${runDir} holds no run (events.jsonl names none); give the run_dir of a training run.`
        : `There is no folder ${runDir}; give the run_dir of a training run, such as runs/dog.`,
    );
  }
  const count = Math.max(1, sums.steps);
  return {
    runDir,
    label: basename(resolve(runDir)),
    name: run.name,
    model: shortPath(run.model),
    config: await configOf(runDir),
    step,
    maxTrainSteps,
    state,
    began,
    loss,
    learningRate,
    gradNorm,
    ...validationSeries([...validations.values()]),
    metrics: [...metrics.values()].sort((a, b) => a.step - b.step),
    samples: [...samples.values()].sort((a, b) => a.index - b.index || a.step - b.step),
    pictures: pictures.list(),
    stageSeconds,
    stepSeconds: { data: sums.data / count, compute: sums.compute / count, update: sums.update / count },
    metricsSeconds,
    peakMemoryMiB,
    warnings: [...warnings].map(withoutPlaces),
    exports: await Promise.all(
      [...exports].map(async ([path, format]) => ({
        format,
        path: shortPath(path),
        bytes: await sizeOf(resolve(runDir, path)),
      })),
    ),
  };
}

/** A path without where it lies: nobody's business but the machine's. Other texts stay as they are. */
export function shortPath(text: string): string {
  return /^(\/|[A-Za-z]:[\\/])/.test(text) ? basename(text.replaceAll('\\', '/')) : text;
}

/** A sentence whose paths are short, see {@link shortPath}. */
function withoutPlaces(sentence: string): string {
  return sentence.replaceAll(/(?<=^|[\s"'(])(\/|[A-Za-z]:[\\/])[^\s:"'(),;]+/g, shortPath);
}

function validationSeries(validations: readonly ValidationRecord[]): Pick<RunRecord, 'validation' | 'validationBins'> {
  const validation = createSeries();
  const validationBins = new Map<string, Series>();
  for (const { step, loss, bins } of validations.toSorted((a, b) => a.step - b.step)) {
    validation.add(step, loss);
    for (const { from, to, loss } of bins) {
      const name = `sigma ${from.toFixed(2)} to ${to.toFixed(2)}`;
      const series = validationBins.get(name) ?? createSeries();
      validationBins.set(name, series);
      series.add(step, loss);
    }
  }
  return { validation, validationBins };
}

async function configOf(runDir: string): Promise<Config | undefined> {
  try {
    await readFile(join(runDir, 'config.yaml'));
    return (await loadConfig(join(runDir, 'config.yaml'), { checkFiles: false })).config;
  } catch {
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}
