import { readdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

import type { CaptionChoice } from '../../datasets/caption-text.ts';
import type { DatasetUse, Example } from '../../datasets/example.ts';
import { stemOf } from '../../datasets/find-captions.ts';
import type { LoadedDatasets } from '../../datasets/load-datasets.ts';
import type { CaptionConfig, Config } from '../config/schema.ts';
import type { TrainEvent } from '../events.ts';
import { hubAccess } from '../hub/hub-access.ts';
import { writeText } from '../io/atomic-write.ts';
import type { TextWindow } from '../text/lost-tokens.ts';
import { type CaptionedPicture, captionPictures, type MadeCaption } from './caption-pictures.ts';
import { type CaptionRecord, openCaptionStore } from './caption-store.ts';
import { writeCaptionsPage } from './captions-page.ts';
import { captionProbabilities, type ChoiceOptions, createCaptionChoice } from './choose-caption.ts';
import { createCaptioners, createRater } from './create-captioners.ts';
import { writeNvlabsFiles } from './nvlabs-files.ts';
import { createTransformersClient } from './transformers-client.ts';

/** What of a config the captions depend on. */
export type CaptionStageConfig = Pick<Config, 'caption' | 'run_dir'> & {
  readonly dataset: Pick<Config['dataset'], 'cache_dir'>;
  readonly model: Pick<Config['model'], 'path' | 'threads'>;
};

/** What the captions of a data set came to. */
export interface CaptionStageResult {
  /** The examples to train with: class pictures as they were, the others with their new captions. */
  readonly examples: readonly Example[];
  /** Every instance picture, in the order of the examples. */
  readonly pictures: readonly CaptionedPicture[];
  /** Pictures that have no caption at all, or that a captioner failed on. */
  readonly incomplete: number;
}

/** `caption` of a config as createCaptionChoice takes it. */
export function choiceOptions({ selection, clip_thr, clip_thr_temperature }: CaptionConfig): ChoiceOptions {
  return { selection, clipThr: clip_thr, temperature: clip_thr_temperature };
}

/** Where the captions of a config are kept. */
export function captionsFile({ caption, dataset }: Pick<CaptionStageConfig, 'caption' | 'dataset'>): string {
  return caption.output === 'auto' ? join(dataset.cache_dir, 'captions.jsonl') : caption.output;
}

/** Examples whose captions are drawn as the config says; those that are scored in a table too. */
export function withCaptionChoice(examples: readonly Example[], config: CaptionConfig): readonly Example[] {
  const choose: CaptionChoice = createCaptionChoice(choiceOptions(config));
  const uses = new Map<DatasetUse, DatasetUse>();
  return examples.map((example) => {
    const { dataset } = example;
    const use = uses.get(dataset) ?? { ...dataset, captions: { ...dataset.captions, choose } };
    uses.set(dataset, use);
    return { ...example, dataset: use };
  });
}

/** The caption that is best by its score; the first one where there are no scores. */
export function bestCaption(captions: readonly MadeCaption[]): MadeCaption | undefined {
  const probabilities = captionProbabilities(captions, { selection: 'best', clipThr: 0, temperature: 1 });
  return captions[probabilities.indexOf(Math.max(...probabilities))];
}

/** Writes best captions into .txt files beside the pictures, over a person's own only where that was asked. */
function createTextWriter(write: CaptionConfig['write_txt']): (picture: CaptionedPicture) => Promise<void> {
  const texts = new Map<string, Promise<ReadonlySet<string>>>();
  const stemsIn = async (folder: string): Promise<ReadonlySet<string>> =>
    new Set((await readdir(folder)).filter((name) => /\.txt$/i.test(name)).map((name) => stemOf(name)));
  return async ({ example, captions }) => {
    const best = bestCaption(captions);
    if (write === 'never' || best === undefined) return;
    const { path } = example.picture;
    const folder = dirname(path);
    const known = texts.get(folder) ?? stemsIn(folder);
    texts.set(folder, known);
    if (write === 'missing' && (await known).has(stemOf(basename(path)))) return;
    await writeText(join(folder, `${stemOf(basename(path))}.txt`), `${best.text}\n`);
  };
}

/** An example with its new captions; as it was where there are none. */
function trainedWith({ example, captions }: CaptionedPicture): Example {
  return captions.length === 0 ? example : { ...example, captions };
}

/** Settings of {@link captionStage}. */
export interface CaptionStageOptions {
  /** How the trained model reads captions, asked for when there are some: captions.html says what it does not see. */
  readonly window?: () => Promise<TextWindow | undefined>;
  readonly signal?: AbortSignal;
}

/**
 * Captions the pictures of a run, as `caption` of its config says, tells of it, and writes captions.html into the run's
 * folder. Without captioners only the choice among the captions that there are is made.
 *
 * @param name the run's
 * @throws UserError when a model cannot be loaded or captions.jsonl not be written
 */
export async function* captionStage(
  config: CaptionStageConfig,
  name: string,
  datasets: LoadedDatasets,
  { window, signal }: CaptionStageOptions = {},
): AsyncGenerator<TrainEvent, CaptionStageResult> {
  const { caption, dataset, model } = config;
  const { examples } = datasets;
  if (caption.captioners.length === 0) {
    return { examples: withCaptionChoice(examples, caption), pictures: [], incomplete: 0 };
  }
  const output = captionsFile(config);
  const { hubUrl, offline, token } = await hubAccess();
  const client = createTransformersClient(
    {
      remote: !offline,
      host: hubUrl,
      cacheDir: join(dataset.cache_dir, 'transformers'),
      ...(model.threads !== 'auto' && { threads: model.threads }),
    },
    token?.value,
  );
  // A model in the middle of a long caption cannot be asked to stop.
  signal?.addEventListener('abort', client.close, { once: true });
  const instances = examples.filter((example) => example.dataset.kind === 'instance');
  const pictures: CaptionedPicture[] = [];
  const store = await openCaptionStore(output);
  try {
    const captioners = await createCaptioners(caption, client);
    const rater = await createRater(caption, model.path, client);
    const writeBest = createTextWriter(caption.write_txt);
    const wordless = instances.find((example) => (example.dataset.captions.triggerWord ?? '') === '');
    for (const captioner of wordless ? captioners : []) {
      if (!`${captioner.prefix}${captioner.suffix}`.includes('[trigger]')) continue;
      const message = `${captioner.name} has [trigger] in its prefix or suffix, and ${wordless?.dataset.name ?? ''} has no trigger_word: nothing stands in its place.`;
      yield { kind: 'warning', message };
    }
    const told = new Map<string, number>();
    const requests = caption.captioners.map((one) => (one.type === 'openai' ? one.max_concurrent_requests : 0));
    const total = instances.length;
    yield { kind: 'stage', stage: 'captions', done: 0, total, what: 'pictures' };
    for await (const picture of captionPictures(instances, {
      captioners,
      store,
      concurrency: Math.max(4, ...requests),
      ...(rater && { rater }),
      ...(signal && { signal }),
      // A table of captions beside the pictures says where they are; one in the cache is known by their content.
      ...(caption.output !== 'auto' && { nameOf: ({ picture }) => pathFrom(dirname(output), picture.path) }),
    })) {
      pictures.push(picture);
      for (const { captioner, reason, isLasting } of picture.failures) {
        const key = `${captioner} ${reason}`;
        told.set(key, (told.get(key) ?? 0) + 1);
        if (isLasting && told.get(key) !== 1) continue;
        yield { kind: 'warning', message: `${picture.example.id} has no caption by ${captioner}: ${reason}` };
      }
      if (picture.captions.length === 0 && picture.failures.length === 0) {
        yield { kind: 'warning', message: `${picture.example.id} has no caption by any captioner.` };
      }
      await writeBest(picture);
      if (caption.nvlabs_files) await writeNvlabsFiles(picture.example.picture.path, picture.captions);
      yield { kind: 'stage', stage: 'captions', done: pictures.length, total, what: 'pictures' };
    }
    // A file of the config's own holds what the last run made; one in the cache serves other configs too.
    if (caption.output !== 'auto') await store.tidy(staleIn(pictures, captioners));
  } finally {
    signal?.removeEventListener('abort', client.close);
    client.close();
    await store.close();
  }

  const weak = pictures.filter(({ captions }) => isBelow(captions, caption.min_score));
  const left = new Set(caption.below_min_score === 'skip' ? weak.map(({ example }) => example) : []);
  for (const { example, captions } of weak) {
    const score = bestCaption(captions)?.score?.toFixed(1) ?? '';
    const done = left.has(example) ? 'it was left out' : 'it is used';
    yield {
      kind: 'warning',
      message: `${example.id}: its best caption scores ${score}, below min_score ${caption.min_score ?? 0}; ${done}.`,
    };
  }
  yield { kind: 'export', format: 'captions', path: output };
  yield await writePage(config, name, datasets, pictures, await window?.());

  const captioned = new Map(pictures.map((picture) => [picture.example, picture]));
  const kept = examples.flatMap((example) => {
    const picture = captioned.get(example);
    if (picture === undefined) return [example];
    return left.has(example) ? [] : [trainedWith(picture)];
  });
  return {
    examples: withCaptionChoice(kept, caption),
    pictures,
    incomplete: pictures.filter(({ captions, failures }) => captions.length === 0 || failures.length > 0).length,
  };
}

/**
 * Writes captions.html of the captions that there are, captioning nothing: what a data set is like.
 * @returns like {@link captionStage}'s
 */
export async function* describeCaptions(
  config: CaptionStageConfig,
  name: string,
  datasets: LoadedDatasets,
  window?: TextWindow,
): AsyncGenerator<TrainEvent, Pick<CaptionStageResult, 'pictures' | 'incomplete'>> {
  const pictures = datasets.examples
    .filter((example) => example.dataset.kind === 'instance')
    .map((example): CaptionedPicture => {
      const captions = example.captions
        .filter(({ text }) => text !== '')
        .map((caption): MadeCaption => ({ source: 'existing', ...caption, excess: 0 }));
      return { example, captions, failures: [], isNew: false };
    });
  yield await writePage(config, name, datasets, pictures, window);
  return { pictures, incomplete: pictures.filter(({ captions }) => captions.length === 0).length };
}

async function writePage(
  { caption, run_dir }: CaptionStageConfig,
  name: string,
  { report }: LoadedDatasets,
  pictures: readonly CaptionedPicture[],
  window: TextWindow | undefined,
): Promise<TrainEvent> {
  const path = join(run_dir, 'captions.html');
  await writeCaptionsPage(path, {
    title: `Captions of ${name}`,
    pictures,
    choice: choiceOptions(caption),
    minScore: caption.min_score,
    report,
    ...(window && { window }),
  });
  return { kind: 'export', format: 'page', path };
}

/** Whether a line of captions.jsonl is of a picture and a captioner that the run has done with. */
function staleIn(
  pictures: readonly CaptionedPicture[],
  captioners: readonly { readonly name: string }[],
): (record: CaptionRecord) => boolean {
  const done = new Set(
    pictures.flatMap(({ example, failures }) =>
      captioners
        .filter(({ name }) => failures.every(({ captioner }) => captioner !== name))
        .map(({ name }) => `${example.picture.contentHash} ${name}`),
    ),
  );
  return ({ hash, captioner }) => done.has(`${hash} ${captioner}`);
}

function isBelow(captions: readonly MadeCaption[], least: number | null): boolean {
  const score = bestCaption(captions)?.score;
  return least !== null && score !== undefined && score < least;
}

/** A path as tables of captions have it: relative, with forward slashes. */
function pathFrom(folder: string, path: string): string {
  return relative(folder, path).replaceAll('\\', '/');
}
