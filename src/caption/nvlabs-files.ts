import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { Caption } from '../../datasets/caption-text.ts';
import { writeText } from '../io/atomic-write.ts';
import { fileError } from '../io/file-error.ts';
import { isRecord } from '../io/json.ts';

// NVlabs' layout (diffusion/data/datasets/sana_data.py): beside KEY.png there are KEY.txt,
// KEY_<vlm>.json = { "KEY": { "<vlm>": "..." } } and KEY_<vlm>_clip_score.json = { "KEY": { "<vlm>": "27.1037" } }.

function keyOf(picture: string): string {
  return basename(picture).replace(/\.[^.]*$/, '');
}

async function textIn(path: string, key: string, vlm: string): Promise<string | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw fileError(error, 'read', path);
  }
  const entry = isRecord(value) ? value[key] : undefined;
  const text = isRecord(entry) ? entry[vlm] : undefined;
  return typeof text === 'string' ? text : typeof text === 'number' ? String(text) : undefined;
}

/** A folder's files by each beginning of their names that may be a picture's: all that ends before a `_`. */
async function filesByKey(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const files = new Map<string, string[]>();
  for (const name of (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()) {
    for (let at = name.indexOf('_'); at >= 0; at = name.indexOf('_', at + 1)) {
      const key = name.slice(0, at);
      const known = files.get(key);
      if (known) known.push(name);
      else files.set(key, [name]);
    }
  }
  return files;
}

/** Reads the captions that NVlabs' tools left beside pictures; folders are listed once. */
export function createNvlabsReader(): (picture: string) => Promise<readonly Caption[]> {
  const listings = new Map<string, ReturnType<typeof filesByKey>>();
  return async (picture) => {
    const folder = dirname(picture);
    const listing = listings.get(folder) ?? filesByKey(folder);
    listings.set(folder, listing);
    const key = keyOf(picture);
    const names = (await listing).get(key) ?? [];
    const captions: Caption[] = [];
    for (const name of names) {
      if (name.endsWith('_clip_score.json')) continue;
      const vlm = name.slice(key.length + 1, -'.json'.length);
      const text = await textIn(join(folder, name), key, vlm);
      if (text === undefined) continue;
      const scoreFile = `${key}_${vlm}_clip_score.json`;
      const score = names.includes(scoreFile) ? Number(await textIn(join(folder, scoreFile), key, vlm)) : Number.NaN;
      captions.push({ text, source: vlm, ...(Number.isFinite(score) && { score }) });
    }
    return captions;
  };
}

/**
 * Writes captions beside a picture for NVlabs' trainer; scores have four digits as its own do. A captioner has one
 * caption in this layout: its others are called `<vlm>-2`, `<vlm>-3`.
 */
export async function writeNvlabsFiles(picture: string, captions: readonly Caption[]): Promise<void> {
  const key = keyOf(picture);
  const counts = new Map<string, number>();
  for (const { text, source = 'caption', score } of captions) {
    const count = (counts.get(source) ?? 0) + 1;
    counts.set(source, count);
    const vlm = count === 1 ? source : `${source}-${count}`;
    const content = (value: string): string => `${JSON.stringify({ [key]: { [vlm]: value } })}\n`;
    await writeText(join(dirname(picture), `${key}_${vlm}.json`), content(text));
    if (score === undefined) continue;
    await writeText(join(dirname(picture), `${key}_${vlm}_clip_score.json`), content(score.toFixed(4)));
  }
}
