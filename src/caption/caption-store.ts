import { createHash } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { errorCode, fileError } from '../io/file-error.ts';
import { syncFolder, writeText } from '../io/atomic-write.ts';

const recordSchema = z.object({
  picture: z.string(),
  hash: z.string(),
  captioner: z.string(),
  text: z.string(),
  /** What the model said, where post-processing made something else of it. */
  said: z.string().exactOptional(),
  score: z.number().exactOptional(),
  /** CLIP tokens that are over what it reads at once. */
  excess: z.number().exactOptional(),
  settings: z.record(z.string(), z.union([z.string(), z.number()])),
  clip: z.string().exactOptional(),
  /** A person's own words in place of the captioner's: they stay, whatever its settings become. */
  edited: z.literal(true).exactOptional(),
});

/** A line of captions.jsonl: one caption of one picture. */
export type CaptionRecord = Readonly<z.output<typeof recordSchema>>;

/** The captions that there are, and a file that new ones are added to. */
export interface CaptionStore {
  readonly path: string;
  /** What a captioner with these settings said of a picture. */
  said(hash: string, settings: CaptionRecord['settings']): string | undefined;
  /** How a CLIP rated a text for a picture. */
  rating(hash: string, text: string, clip: string): { readonly score: number; readonly excess: number } | undefined;
  /** What a person wrote in place of a captioner's words. */
  edited(hash: string, captioner: string): string | undefined;
  /**
   * Adds those lines that are not there yet and waits until the disk has them.
   * @returns whether any was new
   */
  put(records: readonly CaptionRecord[]): Promise<boolean>;
  /** Takes lines out that are not among those that were put since the file was opened. */
  tidy(isOurs: (record: CaptionRecord) => boolean): Promise<void>;
  close(): Promise<void>;
}

function keyOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

function sortedEntries(settings: CaptionRecord['settings']): readonly (readonly [string, string | number])[] {
  return Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const saidKey = (hash: string, settings: CaptionRecord['settings']): string => keyOf(hash, sortedEntries(settings));
const lineKey = ({ picture, hash, captioner, text, clip, score, settings, edited }: CaptionRecord): string =>
  keyOf(picture, hash, captioner, text, clip ?? null, score === undefined, sortedEntries(settings), edited ?? false);

/** The record of a line; undefined for a line that is none of ours. */
function recordIn(line: string): CaptionRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/**
 * Opens captions.jsonl. It is only ever added to, a picture's captions at a time and each time down to the disk, so that
 * a kill loses no more than what was being computed; half a line at its end, which a kill leaves, is taken off.
 * Lines that are none of ours (a person's own, another program's) stay as they are.
 */
export async function openCaptionStore(path: string): Promise<CaptionStore> {
  let handle: FileHandle;
  try {
    await mkdir(dirname(path), { recursive: true });
    handle = await open(path, 'a+');
  } catch (error) {
    throw fileError(error, 'write', path);
  }
  const said = new Map<string, string>();
  const ratings = new Map<string, { readonly score: number; readonly excess: number }>();
  const edits = new Map<string, string>();
  const lines = new Set<string>();
  const current = new Set<string>();

  function remember(record: CaptionRecord): void {
    const { hash, text, score, excess = 0, clip, settings } = record;
    if (record.edited) edits.set(keyOf(hash, record.captioner), text);
    else said.set(saidKey(hash, settings), record.said ?? text);
    if (score !== undefined && clip !== undefined) ratings.set(keyOf(hash, text, clip), { score, excess });
    lines.add(lineKey(record));
  }

  const text = await readFile(path, 'utf8');
  const end = text.lastIndexOf('\n') + 1;
  for (const line of text.slice(0, end).split('\n')) {
    const record = recordIn(line);
    if (record) remember(record);
  }
  if (end < text.length) await handle.truncate(Buffer.byteLength(text.slice(0, end)));
  await syncFolder(dirname(path));

  // One addition after the other, so that lines never mix.
  let turn: Promise<void> = Promise.resolve();
  async function append(records: readonly CaptionRecord[], before: Promise<void>): Promise<void> {
    await before.catch(() => undefined);
    try {
      await handle.appendFile(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
      await handle.datasync();
    } catch (error) {
      throw fileError(error, 'write', path);
    }
    for (const record of records) remember(record);
  }

  return {
    path,
    said: (hash, settings) => said.get(saidKey(hash, settings)),
    rating: (hash, text, clip) => ratings.get(keyOf(hash, text, clip)),
    edited: (hash, captioner) => edits.get(keyOf(hash, captioner)),
    async put(records) {
      for (const record of records) current.add(lineKey(record));
      const fresh = records.filter((record) => !lines.has(lineKey(record)));
      if (fresh.length === 0) return false;
      turn = append(fresh, turn);
      await turn;
      return true;
    },
    async tidy(isOurs) {
      await turn;
      const all = (await readFile(path, 'utf8')).split('\n');
      const kept = all.filter((line) => {
        const record = recordIn(line);
        return record === undefined || current.has(lineKey(record)) || !isOurs(record);
      });
      if (kept.length === all.length) return;
      // Closed first: some systems replace no open file, and the file of that name is another one afterwards.
      await handle.close();
      try {
        await writeText(path, kept.join('\n'));
      } finally {
        handle = await open(path, 'a+');
      }
    },
    async close() {
      await turn.catch(() => undefined);
      await handle.close().catch((error: unknown) => {
        if (errorCode(error) !== 'EBADF') throw error;
      });
    },
  };
}
