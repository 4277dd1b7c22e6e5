import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { UserError } from '../src/errors.ts';
import { errorCode, fileError } from '../src/io/file-error.ts';
import { parseCaptionTable, tableKey } from './caption-table.ts';
import type { CaptionTable } from './caption-table.ts';
import { cleanCaption } from './caption-text.ts';
import type { Caption } from './caption-text.ts';
import type { Note } from './report.ts';

/**
 * Where captions come from. `auto`: a table in the folder, else a .txt beside the picture, else the instance prompt.
 * The others ask for one of these alone; `filename` reads the name of the picture's file.
 */
export type CaptionFrom = 'auto' | 'table' | 'txt' | 'filename' | 'instance_prompt';

/** What {@link openCaptions} takes. */
export interface CaptionSourceOptions {
  readonly folder: string;
  /** All files below the folder, from which tables and .txt files are known. */
  readonly files: readonly string[];
  /** @default 'auto' */
  readonly from?: CaptionFrom;
  /**
   * A .jsonl, .csv or .tsv file, relative to the folder. The pictures' paths in it are relative to the folder too.
   * @default the first of {@link tableNames} that is there
   */
  readonly table?: string;
  /** The caption of pictures that have no other. */
  readonly instancePrompt?: string;
}

/** The captions of one picture, and what is to be said about them. */
export interface FoundCaptions {
  readonly captions: readonly Caption[];
  readonly notes: readonly Note[];
}

/** Looks up captions by a picture's path below the folder. */
export interface CaptionSource {
  find(name: string): Promise<FoundCaptions>;
  /** What concerns no one picture; complete after every picture has been looked up. */
  notes(): readonly Note[];
  /** Tables and .txt files that this source read or knows; they are no stray files. */
  isCaptionFile(name: string): boolean;
}

/** Tables that are found by themselves, in this order. */
export const tableNames = [
  'metadata.jsonl',
  'metadata.csv',
  'captions.jsonl',
  'captions.csv',
  'metadata.tsv',
  'captions.tsv',
] as const;

/** A path without its ending. */
export function stemOf(name: string): string {
  return name.replace(/\.[^./]*$/, '');
}

/** What a file's name says: `dog_on-a_beach (2).png` is `dog on-a beach`. */
export function captionOfFileName(name: string): string {
  const base = stemOf(name).replace(/^.*\//, '').replaceAll('_', ' ');
  return cleanCaption(base.replace(/[\s-]*\(?\d+\)?\s*$/, ''));
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  // Notepad writes UTF-16 with a byte order mark when asked for "Unicode".
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  try {
    return new TextDecoder(utf16 ? 'utf-16le' : 'utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UserError(`${path} is not UTF-8 text; save it again as UTF-8.`, { cause: error });
  }
}

async function openTable({
  folder,
  files,
  from,
  table,
}: CaptionSourceOptions): Promise<[string, CaptionTable] | undefined> {
  const name = table ?? tableNames.find((known) => files.includes(known));
  if (name === undefined) {
    if (from !== 'table') return undefined;
    throw new UserError(`${folder} has no table of captions; write one, such as ${tableNames[0]}, or name the file.`);
  }
  const path = resolve(folder, name);
  return [name, parseCaptionTable(name, await readText(path))];
}

/** The captions of a .txt file, one a line. */
async function captionsOfText(folder: string, name: string): Promise<FoundCaptions> {
  let text: string;
  try {
    text = await readText(join(folder, name));
  } catch (error) {
    if (!(error instanceof UserError) || errorCode(error.cause) === 'EMFILE') throw error;
    return { captions: [], notes: [{ kind: 'no-caption', message: error.message }] };
  }
  const captions = text
    .split(/\r?\n/)
    .map(cleanCaption)
    .filter((line) => line !== '')
    .map((line) => ({ text: line, source: name }));
  if (captions.length === 0) return { captions: [{ text: '', source: name }], notes: [] };
  const several = `${name} has ${captions.length} lines; each is one of its captions.`;
  return { captions, notes: captions.length > 1 ? [{ kind: 'captions', message: several }] : [] };
}

/**
 * Opens what holds a folder's captions.
 * @throws UserError when a table that was asked for is missing or cannot be read
 */
export async function openCaptions(options: CaptionSourceOptions): Promise<CaptionSource> {
  const { folder, files, from = 'auto', instancePrompt } = options;
  if (from === 'instance_prompt' && instancePrompt === undefined) {
    throw new UserError(`The captions of ${folder} are to be the instance prompt, and there is none; set one.`);
  }
  const opened = from === 'auto' || from === 'table' ? await openTable(options) : undefined;
  const [tableName, table] = opened ?? [undefined, undefined];
  const usesText = from === 'auto' || from === 'txt';
  // Compared with composed letters: macOS gives decomposed names.
  const texts = new Map(
    files.filter((name) => /\.txt$/i.test(name)).map((name) => [stemOf(name).normalize('NFC'), name]),
  );
  const unusedTexts = new Set(usesText ? texts.values() : []);
  const unusedRows = new Set(table?.captions.keys());

  async function lookUp(name: string): Promise<FoundCaptions> {
    const key = tableKey(name);
    const rows = table?.captions.get(key);
    const text = usesText ? texts.get(stemOf(name).normalize('NFC')) : undefined;
    unusedRows.delete(key);
    if (text !== undefined) unusedTexts.delete(text);
    if (rows !== undefined) return { captions: rows, notes: [] };
    if (text !== undefined) return await captionsOfText(folder, text);
    if (from === 'filename') return { captions: [{ text: captionOfFileName(name), source: 'file name' }], notes: [] };
    return { captions: [], notes: [] };
  }

  return {
    async find(name) {
      const { captions, notes } = await lookUp(name);
      if (captions.some(({ text }) => text !== '')) {
        const kept = captions.filter(({ text }) => text !== '');
        return { captions: kept, notes };
      }
      const was = captions.length > 0 ? 'empty' : 'missing';
      if (instancePrompt !== undefined) {
        const asked = from === 'instance_prompt' || (was === 'missing' && notes.length === 0);
        const message = `Its caption is ${was}; the instance prompt was taken.`;
        const prompt = { text: cleanCaption(instancePrompt), source: 'instance prompt' };
        return { captions: [prompt], notes: asked ? notes : [...notes, { kind: 'empty-caption', message }] };
      }
      const kind = was === 'empty' ? 'empty-caption' : 'no-caption';
      const message = `Its caption is ${was}; it is trained as an unlabelled picture. Write a caption or set an instance prompt.`;
      return { captions: [{ text: '' }], notes: [...notes, { kind, message }] };
    },
    notes() {
      const problems = (table?.problems ?? []).map((message): Note => ({ kind: 'no-caption', message }));
      const rows = [...unusedRows].map(
        (row) => `${tableName ?? 'The table'} has a caption for ${JSON.stringify(row)}, and there is no such picture.`,
      );
      const files = [...unusedTexts].map((name) => `${name} is a caption without a picture.`);
      return [
        ...problems,
        ...[...rows, ...files].map((message): Note => ({ kind: 'caption-without-picture', message })),
      ];
    },
    isCaptionFile: (name) => name === tableName || (/\.txt$/i.test(name) && texts.has(stemOf(name).normalize('NFC'))),
  };
}
