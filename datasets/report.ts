import { quoted } from '../src/io/json.ts';
import { bucketName } from './buckets.ts';
import type { Bucket } from './buckets.ts';
import type { Picture } from './example.ts';

/** What can be said of a file. */
export type NoteKind =
  | 'unreadable'
  | 'unsupported'
  | 'huge'
  | 'tiny'
  | 'enlarged'
  | 'cut'
  | 'duplicate'
  | 'near-duplicate'
  | 'no-caption'
  | 'empty-caption'
  | 'captions'
  | 'caption-without-picture'
  | 'no-mask'
  | 'mask-unreadable'
  | 'first-frame'
  | 'transparent'
  | 'link'
  | 'other';

/** One remark on a file: what was found and what was done, as a sentence. */
export interface Note {
  readonly kind: NoteKind;
  readonly message: string;
}

/** One file of a data set. */
export interface ReportEntry {
  readonly dataset: string;
  /** Its path below the data set's folder. */
  readonly name: string;
  readonly status: 'used' | 'left-out';
  /** What it is, when it could be read. */
  readonly picture?: Picture;
  /** The texts it may be trained with, before trigger word and tags. */
  readonly captions: readonly string[];
  readonly buckets: readonly Bucket[];
  readonly notes: readonly Note[];
}

/** What became of every file: pictures first, then files that are not pictures or came to nothing. */
export interface DatasetReport {
  readonly entries: readonly ReportEntry[];
  /** Remarks that concern no one file, such as a row of a table. */
  readonly notes: readonly Note[];
}

/** Notes that tell of something done and not of something to look into. */
const quiet: ReadonlySet<NoteKind> = new Set<NoteKind>(['first-frame', 'transparent', 'captions', 'link']);

/** How many pictures a bucket has, most first. */
export function bucketCounts({ entries }: DatasetReport): { readonly bucket: Bucket; readonly pictures: number }[] {
  const counts = new Map<string, { bucket: Bucket; pictures: number }>();
  for (const bucket of entries.flatMap((entry) => entry.buckets)) {
    const name = bucketName(bucket);
    const known = counts.get(name) ?? { bucket, pictures: 0 };
    known.pictures++;
    counts.set(name, known);
  }
  return [...counts.values()].sort((a, b) => b.pictures - a.pictures || a.bucket.ratio - b.bucket.ratio);
}

/**
 * The report as lines of text for a terminal: a summary, the buckets, and a line a file that has a remark.
 * @param all also the remarks that need no one's attention
 */
export function formatReport(report: DatasetReport, { all = false }: { readonly all?: boolean } = {}): string[] {
  const { entries } = report;
  const used = entries.filter((entry) => entry.status === 'used').length;
  const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  const leftOut = entries.length - used;
  const lines = [`${plural(used, 'picture')} used${leftOut > 0 ? `, ${plural(leftOut, 'file')} left out` : ''}`];
  for (const { bucket, pictures } of bucketCounts(report))
    lines.push(`  ${bucketName(bucket)}  ${plural(pictures, 'picture')}`);
  for (const { dataset, name, status, notes } of entries) {
    const told = notes.filter((note) => all || !quiet.has(note.kind) || status === 'left-out');
    for (const { message } of told) {
      lines.push(
        `${status === 'left-out' ? 'left out' : 'used'}  ${quoted(`${dataset}/${name}`).slice(1, -1)}: ${message}`,
      );
    }
  }
  return [...lines, ...report.notes.map((note) => note.message)];
}
