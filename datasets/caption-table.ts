import { parse } from 'csv-parse/sync';
import { UserError } from '../src/errors.ts';
import { isRecord, quoted } from '../src/io/json.ts';
import { cleanCaption } from './caption-text.ts';
import type { Caption } from './caption-text.ts';

/** The captions of a jsonl, csv or tsv file. */
export interface CaptionTable {
  /** Captions by the picture's path relative to the table's folder, see {@link tableKey}. */
  readonly captions: ReadonlyMap<string, readonly Caption[]>;
  /** Sentences about rows that could not be used. */
  readonly problems: readonly string[];
}

/** A picture's path as tables are looked up by: forward slashes, no `./`, composed letters (macOS decomposes them). */
export function tableKey(path: string): string {
  return path
    .replaceAll('\\', '/')
    .replace(/^(\.\/)+/, '')
    .normalize('NFC');
}

interface Row {
  readonly line: number;
  readonly values: Readonly<Record<string, unknown>>;
}

// Hugging Face's imagefolder has file_name and text; this project's captions.jsonl has picture.
const fileColumns = ['file_name', 'picture'] as const;

function jsonRows(text: string, problems: string[], name: string): Row[] {
  const rows: Row[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '') return;
    try {
      const values: unknown = JSON.parse(line);
      if (isRecord(values)) rows.push({ line: i + 1, values });
      else problems.push(`${name}, line ${i + 1}, is no JSON object; it was left out.`);
    } catch {
      problems.push(`${name}, line ${i + 1}, is not JSON; it was left out.`);
    }
  });
  return rows;
}

function csvRows(text: string, delimiter: string, name: string): Row[] {
  let records: unknown;
  try {
    records = parse(text, {
      bom: true,
      columns: (header: string[]) => header.map((column) => column.trim()),
      delimiter,
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${name} is no table that can be read (${quoted(reason)}); put texts with commas or quotes in double quotes.`,
      {
        cause: error,
      },
    );
  }
  const rows: Row[] = [];
  for (const entry of Array.isArray(records) ? records : []) {
    const { record, info } = isRecord(entry) ? entry : {};
    if (!isRecord(record)) continue;
    const line = isRecord(info) && typeof info.lines === 'number' ? info.lines : rows.length + 2;
    rows.push({ line, values: record });
  }
  return rows;
}

function textsOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : undefined;
}

function scoreOf(value: unknown): number | undefined {
  const score = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof score === 'number' && Number.isFinite(score) ? score : undefined;
}

/**
 * Reads a table of captions: columns `file_name` (or `picture`) and `text`, and if they are there `score` and
 * `captioner`. A picture has several captions by several rows, or in jsonl by a list of texts.
 * @param name the file's name: its ending (.jsonl, .csv, .tsv) says what it is, and messages name it
 * @throws UserError when it is no table or lacks a column
 */
export function parseCaptionTable(name: string, contents: string): CaptionTable {
  const problems: string[] = [];
  const text = contents.replace(/^\ufeff/, '');
  const lower = name.toLowerCase();
  const isCsv = lower.endsWith('.csv') || lower.endsWith('.tsv');
  if (!isCsv && !lower.endsWith('.jsonl')) {
    throw new UserError(`${name} is no table of captions that is read; use .jsonl, .csv or .tsv.`);
  }
  const rows = isCsv ? csvRows(text, lower.endsWith('.tsv') ? '\t' : ',', name) : jsonRows(text, problems, name);
  const [first] = rows;
  const columns = first === undefined ? [] : Object.keys(first.values);
  const fileColumn = fileColumns.find((column) => columns.includes(column));
  if (first !== undefined && (fileColumn === undefined || !columns.includes('text'))) {
    throw new UserError(
      `${name} needs the columns file_name and text; it has ${columns.map(quoted).join(', ') || 'none'}.`,
    );
  }
  const captions = new Map<string, Caption[]>();
  for (const { line, values } of rows) {
    const file = values[fileColumn ?? 'file_name'];
    const texts = textsOf(values.text);
    if (typeof file !== 'string' || file === '' || texts === undefined) {
      problems.push(`${name}, line ${line}, lacks ${texts === undefined ? 'a text' : 'a file name'}; it was left out.`);
      continue;
    }
    const score = scoreOf(values.score);
    const source = typeof values.captioner === 'string' && values.captioner !== '' ? values.captioner : name;
    const list = captions.get(tableKey(file)) ?? [];
    list.push(...texts.map((one) => ({ text: cleanCaption(one), source, ...(score === undefined ? {} : { score }) })));
    captions.set(tableKey(file), list);
  }
  return { captions, problems };
}
