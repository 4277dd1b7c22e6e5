import { readFile } from 'node:fs/promises';
import { UserError } from '../errors.ts';
import { fileError } from './file-error.ts';

/** Whether a parsed JSON value is an object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A name out of a file, quoted and short, so that no file can write control characters to a terminal. */
export function quoted(name: string): string {
  // JSON escapes C0 but neither DEL and C1 nor the bidirectional overrides.
  const text = JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
  return text.replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
}

/** The index after the string that begins with the quote at `start` of valid JSON. */
function stringEnd(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let escapes = 0;
    while (json[quote - 1 - escapes] === '\\') escapes++;
    if (escapes % 2 === 0) return quote + 1;
  }
  return json.length;
}

/**
 * The first key that stands twice in an object of valid JSON; JSON.parse keeps the last of them and says nothing.
 * A loop and not a regular expression, which a name of many megabytes would take to its stack's end.
 */
export function duplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // the keys so far of each object around, undefined for a list
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = stringEnd(json, at);
      let next = end;
      while (/\s/.test(json[next] ?? '')) next++;
      if (json[next] === ':') {
        const key: unknown = JSON.parse(json.slice(at, end));
        const keys = open.at(-1);
        if (typeof key === 'string' && keys?.has(key)) return key;
        if (typeof key === 'string') keys?.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/**
 * Reads a JSON file that holds an object.
 * @throws UserError when it is missing, is not JSON or holds something else
 */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} is not JSON (${quoted(reason)}); download it again.`, { cause: error });
  }
  if (!isRecord(value)) throw new UserError(`${path} does not hold a JSON object; download it again.`);
  return value;
}
