import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import type { Example } from '../../datasets/example.ts';
import { findTransformersModel } from '../caption/bundled-models.ts';
import { decodeForModels } from '../caption/decode-for-models.ts';
import { createTransformersClient, type TransformersClient } from '../caption/transformers-client.ts';
import { promptRole, sampleClip } from '../config/prompt-roles.ts';
import type { Config } from '../config/schema.ts';
import type { SampleMetrics, TrainEvent } from '../events.ts';
import { hubAccess } from '../hub/hub-access.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';
import { meanMetrics, sampleMetrics } from '../metrics/sample-metrics.ts';
import { isPictureOf, type RunSample, samplePath } from './run-samples.ts';

/** Training pictures of a source that samples are compared with, at most: more of them change the mean little. */
const mostReferences = 64;

/** Pictures that are decoded and sent at once. */
const portion = 8;

/** What samples are measured with. */
export interface RunMetricsOptions {
  readonly config: Config;
  readonly runDir: string;
  readonly samples: readonly RunSample[];
  /** The pictures of the run, and which of the config's sources each data set of theirs is. */
  readonly examples: readonly Example[];
  readonly sourceOf: (dataset: string) => number | undefined;
  readonly signal?: AbortSignal;
}

/** Measures a run's samples by a CLIP. */
export interface RunMetrics {
  /** Measures the pictures of a step, which lie in the run's folder. What goes wrong is told once, and ends it. */
  measure(step: number): AsyncGenerator<TrainEvent>;
  /** What was measured first and last. */
  readonly first: MetricsEvent | undefined;
  readonly last: MetricsEvent | undefined;
}

/** A step's metrics. */
export type MetricsEvent = Extract<TrainEvent, { kind: 'metrics' }>;

/** At most `count` of a list, evenly. */
function some<T>(list: readonly T[], count: number): readonly T[] {
  const part = (i: number): number => Math.floor((i * count) / list.length);
  return list.length <= count ? list : list.filter((_, i) => part(i) !== part(i - 1));
}

/**
 * Makes what measures a run's samples; undefined where the config wants no CLIP. The CLIP is in memory only while it
 * measures, in a process of its own: training has no use for it between samples.
 */
export function createRunMetrics(options: RunMetricsOptions): RunMetrics | undefined {
  const { config, runDir, samples, examples, sourceOf, signal } = options;
  const clip = sampleClip(config);
  if (clip === undefined || samples.length === 0) return undefined;
  const name = basename(clip);
  const roles = samples.map(({ prompt }) => promptRole(prompt, config.dataset.sources));
  const references = config.dataset.sources.map((_, source) =>
    some(
      examples.filter(({ dataset }) => dataset.kind === 'instance' && sourceOf(dataset.name) === source),
      mostReferences,
    ),
  );
  const isStopped = (): boolean => signal?.aborted === true;
  let known: Known | undefined;
  let first: MetricsEvent | undefined;
  let last: MetricsEvent | undefined;
  let isOver = false;

  /** What stays the same in a run: training pictures, prompts, and the pictures of step 0. */
  async function embedConstants(embed: Embed): Promise<Known> {
    const texts = await embed.texts(samples.map(({ prompt }) => prompt));
    const training: (readonly Float32Array[])[] = [];
    for (const own of references) training.push(await embed.files(own.map(({ picture }) => picture.path)));
    const starts = new Map<number, Float32Array>();
    for (const [index, { prompt }] of samples.entries()) {
      if (!config.sample.at_start || !(await isPictureOf(fileOf(index, 0), prompt))) continue;
      for (const row of await embed.files([fileOf(index, 0)])) starts.set(index, row);
    }
    return { texts, training, starts };
  }

  function fileOf(index: number, step: number): string {
    return join(runDir, samplePath(index, step));
  }

  function metricsOf(pictureOf: (index: number) => Float32Array | undefined): readonly SampleMetrics[] {
    return samples.flatMap(({ prompt, seed }, index): readonly SampleMetrics[] => {
      const [picture, text, role, start] = [
        pictureOf(index),
        known?.texts[index],
        roles[index],
        known?.starts.get(index),
      ];
      const own = (role?.sources ?? []).flatMap((source) => known?.training[source] ?? []);
      if (!picture || !text || !role || own.length === 0) return [];
      return [
        sampleMetrics({
          index,
          prompt,
          seed,
          role: role.role,
          picture,
          text,
          references: own,
          ...(start && { start }),
        }),
      ];
    });
  }

  function eventOf(step: number, measured: readonly SampleMetrics[], seconds: number): MetricsEvent {
    const [subject, ofClass] = [meanMetrics(measured, 'subject'), meanMetrics(measured, 'class')];
    return {
      kind: 'metrics',
      step,
      model: name,
      samples: measured,
      ...(subject && { subject }),
      ...(ofClass && { class: ofClass }),
      seconds,
    };
  }

  return {
    async *measure(step) {
      if (isOver || isStopped()) return;
      const began = performance.now();
      let client: TransformersClient | undefined;
      const close = (): void => client?.close();
      signal?.addEventListener('abort', close, { once: true });
      try {
        const { location } = await findTransformersModel(clip);
        const { hubUrl, offline, token } = await hubAccess();
        if (known === undefined && location === clip) {
          yield {
            kind: 'log',
            message: `samples are measured with ${clip}, which is downloaded if it is not there yet`,
          };
        }
        client = createTransformersClient(
          {
            remote: !offline,
            host: hubUrl,
            cacheDir: join(config.dataset.cache_dir, 'transformers'),
            ...(config.model.threads !== 'auto' && { threads: config.model.threads }),
          },
          token?.value,
        );
        await client.load('clip', location, 'fp32');
        const embed = embedWith(client, location);
        known ??= await embedConstants(embed);
        const pictures = await embed.files(samples.map((_, index) => fileOf(index, step)));
        last = eventOf(
          step,
          metricsOf((index) => pictures[index]),
          (performance.now() - began) / 1000,
        );
        const { starts } = known;
        // A resumed run begins in the middle, and has its first pictures all the same.
        first ??=
          starts.size === samples.length
            ? eventOf(
                0,
                metricsOf((index) => starts.get(index)),
                0,
              )
            : last;
        yield last;
      } catch (error) {
        if (isStopped()) return;
        // Pictures are made and the run goes on: numbers about them are not worth ending it.
        isOver = true;
        const reason = error instanceof Error ? error.message : String(error);
        yield {
          kind: 'warning',
          message: `The samples are not measured any more: ${reason} (sample.clip_model names another CLIP, or none).`,
        };
      } finally {
        signal?.removeEventListener('abort', close);
        close();
      }
    },
    get first() {
      return first;
    },
    get last() {
      return last;
    },
  };
}

/** Embeddings that do not change in a run. */
interface Known {
  /** Of each sample's prompt. */
  readonly texts: readonly Float32Array[];
  /** Of each source's training pictures. */
  readonly training: readonly (readonly Float32Array[])[];
  /** Of samples' pictures before training, by their indices. */
  readonly starts: ReadonlyMap<number, Float32Array>;
}

interface Embed {
  texts(texts: readonly string[]): Promise<readonly Float32Array[]>;
  files(paths: readonly string[]): Promise<readonly Float32Array[]>;
}

function embedWith(client: TransformersClient, model: string): Embed {
  return {
    texts: async (texts) => (await client.embed(model, [], texts)).texts,
    async files(paths) {
      const rows: Float32Array[] = [];
      for (let at = 0; at < paths.length; at += portion) {
        const pictures: RgbPicture[] = [];
        for (const path of paths.slice(at, at + portion)) pictures.push(await decodeForModels(await readFile(path)));
        rows.push(...(await client.embed(model, pictures, [])).pictures);
      }
      return rows;
    },
  };
}
