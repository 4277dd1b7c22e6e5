import { mkdir, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

import { loadDatasets } from '../../datasets/load-datasets.ts';
import { type DatasetReport, formatReport } from '../../datasets/report.ts';
import { loadConfig } from '../config/load-config.ts';
import { UserError } from '../errors.ts';
import { errorCode, fileError } from '../io/file-error.ts';
import { bundledModel, modelFolder } from '../pipeline/model-folder.ts';
import { openPipeline } from '../pipeline/open-pipeline.ts';
import { createProgressLine } from './progress-line.ts';
import { type PictureFolder, starterConfig } from './starter-config.ts';

/** The options of `sana-train init`. */
export interface InitOptions {
  readonly model: string;
  readonly prompt?: string;
  readonly word: string;
  readonly out?: string;
}

/** A path as a config in `folder` says it: relative where that is shorter than up to the root, with forward slashes. */
export function pathFrom(folder: string, path: string): string {
  const way = relative(folder, path);
  const text =
    way === '' ? '.' : isAbsolute(way) || way.split(/[/\\]/).filter((part) => part === '..').length > 4 ? path : way;
  return text.replaceAll('\\', '/');
}

/**
 * The side that a model was trained for, in pixels: a folder says it, a name of Sana's tells it.
 * @returns undefined where neither does
 */
export async function trainedSize(model: string): Promise<number | undefined> {
  if (model === bundledModel || (await stat(model).catch(() => undefined))) {
    return (await openPipeline(modelFolder(model))).defaultSize;
  }
  const [, number, unit] = /(\d+)(K?)px/i.exec(model) ?? [];
  return number === undefined ? undefined : Number(number) * (unit === '' ? 1 : 1024);
}

/** What a config depends on of a folder's pictures. */
export function describeFolder({ entries }: DatasetReport): PictureFolder {
  const used = entries.filter(({ status }) => status === 'used');
  const areas = used.map(({ picture }) => (picture ? picture.height * picture.width : 0)).sort((a, b) => a - b);
  return {
    pictures: used.length,
    captioned: used.filter(({ captions }) => captions.some((text) => text !== '')).length,
    transparent: used.filter(({ notes }) => notes.some(({ kind }) => kind === 'transparent')).length,
    side: Math.round(Math.sqrt(areas[Math.floor(areas.length / 2)] ?? 0)),
  };
}

/** Writes a config for a folder of pictures, and says what was found there. */
export async function runInit(photos: string, { model, prompt, word, out }: InitOptions): Promise<void> {
  const folder = resolve(photos);
  const path = out ?? `${basename(folder)}.yaml`;
  const isTaken = new UserError(`${path} exists already, and is not overwritten; name another file with --out.`);
  if (await stat(path).catch(() => undefined)) throw isTaken;

  const size = await trainedSize(model);
  const progress = createProgressLine(process.stderr);
  const { report } = await loadDatasets([{ folder, resolutions: [size ?? 512] }], {
    onProgress: ({ done, total }) => progress.show(`looking at pictures: ${done} of ${total}`),
  });
  progress.clear();

  const found = describeFolder(report);
  const here = dirname(resolve(path));
  const text = starterConfig({
    model,
    ...(size !== undefined && { size }),
    docs: pathFrom(here, join(dirname(createRequire(import.meta.url).resolve('sana-train/package.json')), 'docs')),
    path: pathFrom(here, folder),
    folder: found,
    ...(prompt !== undefined || found.captioned < found.pictures
      ? { instancePrompt: prompt ?? `a photo of ${word}` }
      : {}),
    captions: report.entries.flatMap(({ captions: [first = ''] }) => (first === '' ? [] : [first])),
    triggerWord: word,
  });
  try {
    await mkdir(here, { recursive: true });
    // 'wx' fails where the file has come to be there meanwhile.
    await writeFile(path, text, { flag: 'wx' });
  } catch (error) {
    throw errorCode(error) === 'EEXIST' ? isTaken : fileError(error, 'write', path);
  }
  const { warnings } = await loadConfig(path);

  const remarks = { ...report, entries: report.entries.map(withoutGeneralNotes) };
  const lines = [
    ...formatReport(remarks),
    `${found.captioned} of ${found.pictures} have captions; half of them have ${found.side} x ${found.side} pixels or more`,
    ...(prompt === undefined && found.captioned < found.pictures
      ? [`Say in instance_prompt what they show, such as "a photo of ${word} dog".`]
      : []),
    ...warnings,
    `Wrote ${path}. Look at it, then: sana-train check ${path}, and: sana-train ${path}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Without what the config itself says of all: the sizes, and that captions are missing. */
function withoutGeneralNotes<T extends DatasetReport['entries'][number]>(entry: T): T {
  const notes = entry.notes.filter(({ kind }) => kind !== 'no-caption' && kind !== 'enlarged');
  return { ...entry, buckets: [], notes };
}
