import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { parseCaptionTable } from '../../../datasets/caption-table.ts';
import { type CaptionRecord, openCaptionStore } from '../../../src/caption/caption-store.ts';

const record = (hash: string, text: string, more: Partial<CaptionRecord> = {}): CaptionRecord => ({
  picture: `dog/${hash}.png`,
  hash,
  captioner: 'brief',
  text,
  score: 27.5,
  settings: { type: 'transformers', model: 'm' },
  clip: 'c',
  ...more,
});

const newPath = async () => join(await mkdtemp(join(tmpdir(), 'captions-')), 'sub', 'captions.jsonl');

describe('openCaptionStore', () => {
  it('knows after a restart what was said and how it was rated', async () => {
    const path = await newPath();
    const store = await openCaptionStore(path);
    await Promise.all([
      store.put([record('a', 'a fox', { said: 'The image shows a fox', excess: 3 })]),
      store.put([record('b', 'a dog')]),
    ]);
    await store.close();

    const again = await openCaptionStore(path);
    expect(again.said('a', { model: 'm', type: 'transformers' })).toBe('The image shows a fox');
    expect(again.said('b', { type: 'transformers', model: 'm' })).toBe('a dog');
    expect(again.said('a', { type: 'transformers', model: 'other' })).toBeUndefined();
    expect(again.rating('a', 'a fox', 'c')).toEqual({ score: 27.5, excess: 3 });
    expect(again.rating('a', 'a fox', 'another CLIP')).toBeUndefined();
    expect(await again.put([record('b', 'a dog')])).toBe(false);
    expect(await again.put([record('b', 'a dog', { clip: 'another CLIP' })])).toBe(true);
    await again.close();
  });

  it('takes half a line off that a kill left, and keeps lines that are not its own', async () => {
    const path = await newPath();
    const store = await openCaptionStore(path);
    await store.put([record('a', 'ein grüner Hund 🙂')]);
    await store.close();
    const whole = await readFile(path, 'utf8');
    await writeFile(path, `{"picture": "mine.png", "text": "by hand"}\nno JSON\n${whole}${whole.slice(0, 60)}`);

    const again = await openCaptionStore(path);
    expect(again.said('a', { type: 'transformers', model: 'm' })).toBe('ein grüner Hund 🙂');
    await again.put([record('b', 'a dog')]);
    await again.close();
    const lines = (await readFile(path, 'utf8')).split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toBe('no JSON');
    expect(JSON.parse(lines[3] ?? '')).toMatchObject({ hash: 'b', text: 'a dog' });
  });

  it("keeps a person's words, whatever a captioner's settings become", async () => {
    const path = await newPath();
    const store = await openCaptionStore(path);
    await store.put([record('a', 'a fox'), record('a', 'my fox', { edited: true })]);
    expect(store.edited('a', 'brief')).toBe('my fox');
    expect(store.edited('a', 'detailed')).toBeUndefined();
    expect(store.said('a', { type: 'transformers', model: 'm' })).toBe('a fox');
    await store.close();
  });

  it('takes lines out that a run has done with, and no others', async () => {
    const path = await newPath();
    let store = await openCaptionStore(path);
    await store.put([record('a', 'old'), record('b', 'old'), record('a', 'kept')]);
    await store.close();
    await appendFile(path, 'no JSON\n');
    store = await openCaptionStore(path);
    await store.put([record('a', 'kept'), record('a', 'new')]);
    await store.tidy(({ hash }) => hash === 'a');
    await store.put([record('c', 'later')]);
    await store.close();
    const texts = (await readFile(path, 'utf8')).split('\n').map((line) => /"text":"(\w+)"/.exec(line)?.[1] ?? line);
    expect(texts).toEqual(['old', 'kept', 'no JSON', 'new', 'later', '']);
  });

  it('is read as a table of captions with scores', async () => {
    const path = await newPath();
    const store = await openCaptionStore(path);
    await store.put([record('a', 'a fox'), record('a', 'a red fox', { captioner: 'detailed', score: 30 })]);
    await store.close();
    await appendFile(path, '');
    const { captions, problems } = parseCaptionTable('captions.jsonl', await readFile(path, 'utf8'));
    expect(problems).toEqual([]);
    expect(captions.get('dog/a.png')).toEqual([
      { text: 'a fox', source: 'brief', score: 27.5 },
      { text: 'a red fox', source: 'detailed', score: 30 },
    ]);
  });
});
