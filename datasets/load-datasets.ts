import { join, relative, resolve, sep } from 'node:path';
import pMap from 'p-map';
import { UserError } from '../src/errors.ts';
import { findNearDuplicates } from '../src/images/near-duplicates.ts';
import { bucketsFor } from './buckets.ts';
import { datasetUse } from './dataset-options.ts';
import type { DatasetOptions } from './dataset-options.ts';
import { decodeConcurrency } from './decode-concurrency.ts';
import type { DatasetUse, Example } from './example.ts';
import { openCaptions, stemOf } from './find-captions.ts';
import { listFiles } from './list-files.ts';
import { memoryPictureIndex } from './picture-index.ts';
import type { PictureIndex } from './picture-index.ts';
import type { DatasetReport, Note, ReportEntry } from './report.ts';
import { isPictureName, scanPicture } from './scan-picture.ts';
import type { Opened, Scanned } from './scan-picture.ts';

/** How far a scan has come. */
export interface ScanProgress {
  readonly dataset: string;
  readonly done: number;
  readonly total: number;
}

/** What {@link loadDatasets} takes beside the data sets. */
export interface LoadOptions {
  /** Remembers pictures that were checked before. @default one that lasts for this call */
  readonly index?: PictureIndex;
  readonly onProgress?: (progress: ScanProgress) => void;
  readonly signal?: AbortSignal;
}

/** Examples in the order of the data sets and, within one, of their names by code point. */
export interface LoadedDatasets {
  readonly examples: readonly Example[];
  readonly report: DatasetReport;
}

interface ScannedDataset {
  readonly use: DatasetUse;
  readonly options: DatasetOptions;
  readonly scanned: readonly Scanned[];
  readonly notes: readonly Note[];
}

async function scanDataset(
  options: DatasetOptions,
  { index, onProgress, signal }: LoadOptions & { readonly index: PictureIndex },
): Promise<ScannedDataset> {
  const { folder, mask } = options;
  if (options.resolutions.length === 0)
    throw new UserError(`The data set ${folder} has no resolution; give one, such as 512.`);
  const use = datasetUse(options);
  const { files: all, linksNotFollowed } = await listFiles(folder);
  const chosen = options.files === undefined ? all : (await listFiles(folder, options.files)).files;
  const maskFolder = typeof mask === 'object' ? resolve(folder, mask.folder) : undefined;
  const maskPrefix =
    maskFolder === undefined ? undefined : `${relative(resolve(folder), maskFolder).split(sep).join('/')}/`;
  const names = chosen.filter(
    (name) => isPictureName(name) && !(maskPrefix !== undefined && name.startsWith(maskPrefix)),
  );
  const maskFiles = maskFolder === undefined ? undefined : (await listFiles(maskFolder)).files.filter(isPictureName);
  const opened: Opened = {
    options,
    use,
    index,
    captions: await openCaptions({
      folder,
      files: all,
      ...(options.captionsFrom && { from: options.captionsFrom }),
      ...(options.captionTable !== undefined && { table: options.captionTable }),
      ...(options.instancePrompt !== undefined && { instancePrompt: options.instancePrompt }),
    }),
    tables: [...new Set(options.resolutions)]
      .sort((a, b) => a - b)
      .map((resolution) => bucketsFor(resolution, { square: options.square ?? false })),
    masks:
      maskFiles && maskFolder !== undefined
        ? new Map(maskFiles.map((name) => [stemOf(name), join(maskFolder, name)]))
        : undefined,
  };
  let done = 0;
  const scanned = await pMap(
    names,
    async (name) => {
      const result = await scanPicture(name, opened);
      onProgress?.({ dataset: use.name, done: ++done, total: names.length });
      return result;
    },
    { concurrency: decodeConcurrency, ...(signal && { signal }) },
  );
  const others = chosen.filter((name) => !isPictureName(name) && !opened.captions.isCaptionFile(name));
  const shown = `${others.slice(0, 5).join(', ')}${others.length > 5 ? ' ...' : ''}`;
  const strangers: readonly Note[] =
    others.length === 0
      ? []
      : [
          {
            kind: 'other',
            message: `${use.name} has files that are neither pictures nor captions (${others.length}): ${shown}.`,
          },
        ];
  const links = linksNotFollowed.map((link): Note => ({
    kind: 'link',
    message: `${link} is a link to a folder that is read already; it was not followed.`,
  }));
  return { use, options, scanned, notes: [...opened.captions.notes(), ...strangers, ...links] };
}

/** Finds pictures that are the same, or nearly, over all data sets; says so, and leaves out copies where that was asked. */
function markDuplicates(datasets: readonly ScannedDataset[]): void {
  const all = datasets.flatMap(({ use, options, scanned }) =>
    scanned.flatMap((item) =>
      item.used && item.picture && item.facts ? [{ use, options, item, picture: item.picture, facts: item.facts }] : [],
    ),
  );
  const firstOf = new Map<string, string>();
  const unique: typeof all = [];
  for (const entry of all) {
    const { item, picture, use, options } = entry;
    const first = firstOf.get(picture.contentHash);
    if (first === undefined) {
      firstOf.set(picture.contentHash, `${use.name}/${item.name}`);
      unique.push(entry);
      continue;
    }
    const leaveOut = options.duplicates === 'skip';
    if (leaveOut) item.used = false;
    item.notes.push({
      kind: 'duplicate',
      message: `It is the same file as ${first}; ${leaveOut ? 'it was left out' : 'both are used'}.`,
    });
  }
  // A model's pictures of one prompt look alike, and nobody is to do anything about it.
  const own = unique.filter(({ options }) => options.kind !== 'class');
  const near = findNearDuplicates(own.map(({ facts }) => facts.thumbnail));
  near.forEach((other, i) => {
    const first = other === undefined ? undefined : own[other];
    if (first === undefined) return;
    own[i]?.item.notes.push({
      kind: 'near-duplicate',
      message: `It looks like ${first.use.name}/${first.item.name}; both are used.`,
    });
  });
}

function noPictures(datasets: readonly ScannedDataset[]): UserError {
  const folders = datasets.map(({ options }) => options.folder).join(', ');
  const entries = datasets.flatMap(({ scanned }) => scanned);
  const [first] = entries;
  if (first === undefined) {
    return new UserError(
      `There are no pictures in ${folders}; put jpeg, png, webp, avif, tiff or gif files there, or check the path and the patterns.`,
    );
  }
  const reason = first.notes.at(-1)?.message ?? '';
  return new UserError(`None of the ${entries.length} pictures in ${folders} can be used. ${first.name}: ${reason}`);
}

/**
 * Reads data sets: finds the pictures, decodes each once to know that it is whole, and brings it together with its
 * captions, mask and buckets. A picture that cannot be used is in the report and stops nothing.
 * @throws UserError when a folder is missing, two data sets have one name, or no instance picture can be used
 */
export async function loadDatasets(
  datasets: readonly DatasetOptions[],
  options: LoadOptions = {},
): Promise<LoadedDatasets> {
  const index = options.index ?? memoryPictureIndex();
  const scans: ScannedDataset[] = [];
  for (const dataset of datasets) scans.push(await scanDataset(dataset, { ...options, index }));
  const names = scans.map(({ use }) => use.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UserError(`Two data sets are called ${JSON.stringify(twice)}; give one of them another name.`);
  }
  markDuplicates(scans);
  const instances = scans.filter(({ use }) => use.kind === 'instance');
  if (!instances.some(({ scanned }) => scanned.some(({ used }) => used))) throw noPictures(instances);
  const examples: Example[] = [];
  const entries: ReportEntry[] = [];
  for (const { use, scanned } of scans) {
    for (const { name, used, picture, captions, buckets, notes, mask } of scanned) {
      entries.push({
        dataset: use.name,
        name,
        status: used ? 'used' : 'left-out',
        captions: captions.map(({ text }) => text),
        buckets: used ? buckets : [],
        notes,
        ...(picture && { picture }),
      });
      if (!used || picture === undefined) continue;
      examples.push({ id: `${use.name}/${name}`, dataset: use, picture, captions, buckets, ...(mask && { mask }) });
    }
  }
  return { examples, report: { entries, notes: scans.flatMap(({ notes }) => notes) } };
}
