import { join } from 'node:path';
import { inspectPicture } from '../src/images/inspect-picture.ts';
import type { PictureFacts } from '../src/images/inspect-picture.ts';
import { PictureError } from '../src/images/picture-error.ts';
import { coverSize } from '../src/images/placement.ts';
import { bucketName, nearestBucket } from './buckets.ts';
import type { Bucket } from './buckets.ts';
import type { DatasetOptions } from './dataset-options.ts';
import type { DatasetUse, Example, MaskSource, Picture } from './example.ts';
import { stemOf } from './find-captions.ts';
import type { CaptionSource } from './find-captions.ts';
import { readPictureFile } from './picture-file.ts';
import type { PictureIndex } from './picture-index.ts';
import type { Note } from './report.ts';

/** Endings by which a file is taken for a picture; one of these that cannot be read is reported. */
const pictureEndings = new Set(
  (
    'jpg jpeg jpe jfif png apng webp avif tif tiff gif ' +
    'heic heif hif jxl jp2 j2k bmp dib ico svg psd psb xcf tga exr hdr dng cr2 cr3 nef arw raf orf rw2 pdf'
  ).split(' '),
);

/** Whether a file is taken for a picture, by its ending. */
export function isPictureName(name: string): boolean {
  return pictureEndings.has(/\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? '');
}

/** A file on its way to becoming an example. */
export interface Scanned {
  readonly name: string;
  readonly picture?: Picture;
  readonly facts?: PictureFacts;
  readonly mask?: MaskSource;
  readonly captions: Example['captions'];
  readonly buckets: readonly Bucket[];
  readonly notes: Note[];
  used: boolean;
}

/** A data set whose folder has been listed. */
export interface Opened {
  readonly options: DatasetOptions;
  readonly use: DatasetUse;
  readonly captions: CaptionSource;
  readonly tables: readonly (readonly Bucket[])[];
  readonly masks: ReadonlyMap<string, string> | undefined;
  readonly index: PictureIndex;
}

const enlargement = (picture: Picture, bucket: Bucket): number => coverSize(picture, bucket).width / picture.width;

/** The buckets a picture is used at, smallest resolution first, with remarks on what that does to it. */
function chooseBuckets(picture: Picture, tables: Opened['tables'], notes: Note[]): Bucket[] {
  const nearest = tables.map((table) => nearestBucket(table, picture));
  const [smallest, ...others] = nearest;
  if (smallest === undefined) return [];
  const kept = [smallest, ...others.filter((bucket) => enlargement(picture, bucket) <= 1)];
  const size = `${picture.height} x ${picture.width} pixels`;
  if (kept.length < nearest.length) {
    const skipped = nearest.filter((bucket) => !kept.includes(bucket)).map((bucket) => bucket.resolution);
    notes.push({
      kind: 'enlarged',
      message: `It has ${size}, too few for resolution ${skipped.join(', ')}; it is used at ${kept.map((bucket) => bucket.resolution).join(', ')}.`,
    });
  }
  const scale = enlargement(picture, smallest);
  if (scale > 1) {
    notes.push({
      kind: 'enlarged',
      message: `It has ${size} and is enlarged ${scale.toFixed(2)} times for the bucket ${bucketName(smallest)}; a larger picture would be sharper.`,
    });
  }
  const cover = coverSize(picture, smallest);
  const share = (smallest.height * smallest.width) / (cover.height * cover.width);
  if (share < 0.5) {
    notes.push({
      kind: 'cut',
      message: `Its shape is extreme (${size}): the bucket ${bucketName(smallest)} shows ${Math.round(100 * share)}% of it. Cut it by hand to choose the part.`,
    });
  }
  return kept;
}

async function findMask(
  name: string,
  { options, masks, index }: Opened,
  facts: PictureFacts,
  notes: Note[],
): Promise<MaskSource | undefined> {
  const { mask } = options;
  if (mask === undefined) return undefined;
  if (mask === 'alpha') {
    if (facts.hasAlpha) return { kind: 'alpha' };
    notes.push({ kind: 'no-mask', message: 'It has no alpha channel, so all of it counts.' });
    return undefined;
  }
  const path = masks?.get(stemOf(name));
  if (path === undefined) {
    notes.push({ kind: 'no-mask', message: `There is no mask of its name in ${mask.folder}, so all of it counts.` });
    return undefined;
  }
  try {
    const { contentHash, facts: size } = await checkedPicture(path, options, index);
    const [shape, own] = [size.height / size.width, facts.height / facts.width];
    if (Math.abs(Math.log(shape / own)) > 0.02) {
      notes.push({
        kind: 'no-mask',
        message: `Its mask has ${size.height} x ${size.width} pixels, another shape; it is stretched to fit.`,
      });
    }
    return { kind: 'file', path, contentHash };
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    notes.push({ kind: 'mask-unreadable', message: `Its mask cannot be used, so all of it counts: ${error.message}` });
    return undefined;
  }
}

async function checkedPicture(
  path: string,
  { maxPixels, maxFileBytes }: DatasetOptions,
  index: PictureIndex,
): Promise<{ contentHash: string; facts: PictureFacts }> {
  const { bytes, contentHash } = await readPictureFile(path, maxFileBytes);
  const known = index.get(contentHash);
  const limit = maxPixels === undefined ? {} : { maxPixels };
  if (known !== undefined && (maxPixels === undefined || known.height * known.width <= maxPixels))
    return { contentHash, facts: known };
  const facts = await inspectPicture(bytes, limit);
  await index.add(contentHash, facts);
  return { contentHash, facts };
}

/** Reads one picture and brings it together with what belongs to it; what is wrong with it becomes remarks. */
export async function scanPicture(name: string, opened: Opened): Promise<Scanned> {
  const { options, captions: source, tables, index, use } = opened;
  const notes: Note[] = [];
  const found = await source.find(name);
  const path = join(options.folder, name);
  try {
    const { contentHash, facts } = await checkedPicture(path, options, index);
    const { format, height, width, hasAlpha, pages, transparent } = facts;
    const picture: Picture = { path, name, contentHash, format, height, width, hasAlpha };
    const minSide = options.minSide ?? 64;
    if (Math.min(height, width) < minSide) {
      notes.push({
        kind: 'tiny',
        message: `It has ${height} x ${width} pixels, and ${minSide} is the least for a side; use a larger one.`,
      });
      return { name, picture, facts, captions: found.captions, buckets: [], notes, used: false };
    }
    notes.push(...found.notes);
    if (pages > 1) notes.push({ kind: 'first-frame', message: `It has ${pages} frames or pages; the first is used.` });
    if (transparent)
      notes.push({
        kind: 'transparent',
        message: `Its transparent parts are put on rgb(${use.background.join(', ')}).`,
      });
    const mask = await findMask(name, opened, facts, notes);
    const buckets = chooseBuckets(picture, tables, notes);
    return { name, picture, facts, captions: found.captions, buckets, notes, used: true, ...(mask && { mask }) };
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    notes.push({ kind: error.problem === 'changed' ? 'unreadable' : error.problem, message: error.message });
    return { name, captions: found.captions, buckets: [], notes, used: false };
  }
}
