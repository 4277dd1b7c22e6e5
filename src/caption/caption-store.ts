import { createHash } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { errorCode, fileError } from '../io/file-error.ts';
import { syncFolder } from '../io/atomic-write.ts';

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
  /** Whether the file holds this very line's facts already. */
  has(record: CaptionRecord): boolean;
  /** Adds lines and waits until the disk has them. */
  add(records: readonly CaptionRecord[]): Promise<void>;
  close(): Promise<void>;
}

function keyOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

function sortedEntries(settings: CaptionRecord['settings']): readonly (readonly [string, string | number])[] {
  return Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const saidKey = (hash: string, settings: CaptionRecord['settings']): string => keyOf(hash, sortedEntries(settings));
const lineKey = ({ picture, hash, captioner, text, clip, score, settings }: CaptionRecord): string =>
  keyOf(picture, hash, captioner, text, clip ?? null, score === undefined, sortedEntries(settings));

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
  const lines = new Set<string>();

  function remember(record: CaptionRecord): void {
    const { hash, text, score, excess = 0, clip, settings } = record;
    said.set(saidKey(hash, settings), record.said ?? text);
    if (score !== undefined && clip !== undefined) ratings.set(keyOf(hash, text, clip), { score, excess });
    lines.add(lineKey(record));
  }

  const text = await readFile(path, 'utf8');
  const end = text.lastIndexOf('\n') + 1;
  for (const line of text.slice(0, end).split('\n')) {
    if (line.trim() === '') continue;
    try {
      const record = recordSchema.safeParse(JSON.parse(line));
      if (record.success) remember(record.data);
    } catch {
      // Not ours.
    }
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
    has: (record) => lines.has(lineKey(record)),
    add(records) {
      if (records.length === 0) return Promise.resolve();
      turn = append(records, turn);
      return turn;
    },
    async close() {
      await turn.catch(() => undefined);
      await handle.close().catch((error: unknown) => {
        if (errorCode(error) !== 'EBADF') throw error;
      });
    },
  };
}
