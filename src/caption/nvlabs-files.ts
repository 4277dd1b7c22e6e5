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

/** Reads the captions that NVlabs' tools left beside pictures; folders are listed once. */
export function createNvlabsReader(): (picture: string) => Promise<readonly Caption[]> {
  const listings = new Map<string, Promise<readonly string[]>>();
  return async (picture) => {
    const folder = dirname(picture);
    const listing = listings.get(folder) ?? readdir(folder).then((names) => names.toSorted());
    listings.set(folder, listing);
    const names = await listing;
    const key = keyOf(picture);
    const captions: Caption[] = [];
    for (const name of names) {
      if (!name.startsWith(`${key}_`) || !name.endsWith('.json') || name.endsWith('_clip_score.json')) continue;
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

/** Writes captions beside a picture for NVlabs' trainer; scores have four digits as its own do. */
export async function writeNvlabsFiles(picture: string, captions: readonly Caption[]): Promise<void> {
  const key = keyOf(picture);
  const file = (vlm: string, text: string): string => `${JSON.stringify({ [key]: { [vlm]: text } })}\n`;
  for (const { text, source = 'caption', score } of captions) {
    await writeText(join(dirname(picture), `${key}_${source}.json`), file(source, text));
    if (score === undefined) continue;
    await writeText(join(dirname(picture), `${key}_${source}_clip_score.json`), file(source, score.toFixed(4)));
  }
}
