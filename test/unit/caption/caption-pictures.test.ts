import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import type { Example } from '../../../datasets/example.ts';
import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { type CaptionedPicture, captionPictures } from '../../../src/caption/caption-pictures.ts';
import { openCaptionStore } from '../../../src/caption/caption-store.ts';
import { type Captioner, CaptionError, type CaptionFunction } from '../../../src/caption/captioner.ts';
import type { Rater } from '../../../src/caption/create-captioners.ts';
import { UserError } from '../../../src/errors.ts';

async function pictures(count: number): Promise<{ readonly folder: string; readonly examples: readonly Example[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'pictures-'));
  for (let i = 0; i < count; i++) {
    const picture = sharp({ create: { width: 80, height: 64, channels: 3, background: { r: 40 * i, g: 9, b: 9 } } });
    await picture.png().toFile(join(folder, `${i}.png`));
    await writeFile(join(folder, `${i}.txt`), `number ${i}`);
  }
  const { examples } = await loadDatasets([{ folder, name: 'set', resolutions: [64], triggerWord: 'sks' }]);
  return { folder, examples };
}

const captioner = (name: string, caption: CaptionFunction, more: Partial<Captioner> = {}): Captioner => ({
  name,
  settings: { type: name },
  keep: true,
  polish: {},
  prefix: '',
  suffix: '',
  caption,
  ...more,
});

function rater(): Rater & { readonly texts: string[] } {
  const texts: string[] = [];
  return {
    key: 'lengths',
    texts,
    rate(_, some) {
      texts.push(...some);
      return Promise.resolve(some.map((text) => ({ score: text.length, excess: 0 })));
    },
  };
}

async function all(stream: AsyncIterable<CaptionedPicture>): Promise<CaptionedPicture[]> {
  const list: CaptionedPicture[] = [];
  for await (const picture of stream) list.push(picture);
  return list;
}

describe('captionPictures', () => {
  it('gives every picture a rated caption by each captioner, and asks nothing twice', async () => {
    const { folder, examples } = await pictures(3);
    let asked = 0;
    const captioners = [
      captioner('model', ({ id }) => Promise.resolve([`The image shows ${id} ${++asked}`])),
      captioner('own', ({ existing }) => Promise.resolve(existing), { keep: false }),
    ];
    const clip = rater();
    const path = join(folder, 'out.jsonl');
    let store = await openCaptionStore(path);
    const first = await all(captionPictures(examples, { captioners, store, rater: clip }));
    await store.close();
    expect(asked).toBe(3);
    expect(first.map(({ captions }) => captions.map(({ source }) => source))).toEqual(
      examples.map(() => ['model', 'own']),
    );
    expect(first[0]?.captions[1]).toEqual({ text: 'number 0', source: 'own', excess: 0, score: 8 });
    expect(first.every(({ isNew }) => isNew)).toBe(true);

    const lines = await readFile(path, 'utf8');
    store = await openCaptionStore(path);
    const again = await all(captionPictures(examples, { captioners, store, rater: clip }));
    await store.close();
    expect(asked).toBe(3);
    expect(clip.texts).toHaveLength(6);
    expect(again.map(({ captions }) => captions)).toEqual(first.map(({ captions }) => captions));
    expect(again.some(({ isNew }) => isNew)).toBe(false);
    expect(await readFile(path, 'utf8')).toBe(lines);
  });

  it('rates again with another CLIP, and does not caption again', async () => {
    const { folder, examples } = await pictures(1);
    let asked = 0;
    const captioners = [captioner('model', () => Promise.resolve([`a dog ${++asked}`]))];
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    await all(captionPictures(examples, { captioners, store, rater: rater() }));
    const other = { ...rater(), key: 'another' };
    const [picture] = await all(captionPictures(examples, { captioners, store, rater: other }));
    await store.close();
    expect(asked).toBe(1);
    expect(other.texts).toEqual(['a dog 1']);
    expect(picture?.captions[0]?.score).toBe(7);
  });

  it('puts prefix, suffix and trigger word in, and can do so again without asking', async () => {
    const { folder, examples } = await pictures(1);
    let asked = 0;
    const caption: CaptionFunction = () => Promise.resolve([`a dog ${++asked}`]);
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    const run = async (more: Partial<Captioner>): Promise<string | undefined> =>
      (await all(captionPictures(examples, { captioners: [captioner('model', caption, more)], store })))[0]?.captions[0]
        ?.text;
    expect(await run({})).toBe('a dog 1');
    expect(await run({ prefix: 'a photo of [trigger], ', suffix: ', outside' })).toBe(
      'a photo of sks, a dog 1, outside',
    );
    expect(await run({ prefix: 'x ' })).toBe('x a dog 1');
    await store.close();
    expect(asked).toBe(1);
  });

  it('tells of what fails, picture by picture, and goes on', async () => {
    const { folder, examples } = await pictures(4);
    await writeFile(examples[1]?.picture.path ?? '', 'no picture any more');
    const captioners = [
      captioner('sees', async ({ pixels, id }) => {
        const { width, height } = await pixels();
        if (id === 'set/2.png') return ['<html>'];
        return [`${width} by ${height}`];
      }),
      captioner('fails', ({ id }) =>
        Promise.reject(id === 'set/3.png' ? new CaptionError('Busy.') : new Error('boom')),
      ),
    ];
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    const results = await all(captionPictures(examples, { captioners, store }));
    await store.close();
    const told = results.map(({ captions, failures }) => [
      captions.map(({ text }) => text),
      failures.map(({ captioner: by, reason }) => `${by}: ${reason}`).toSorted(),
    ]);
    expect(told).toEqual([
      [['80 by 64'], ['fails: It failed (boom).']],
      [[], ['fails: It failed (boom).', 'sees: It has changed since the data set was read; start again.']],
      [[], ['fails: It failed (boom).', 'sees: It returned HTML.']],
      [['80 by 64'], ['fails: Busy.']],
    ]);
  });

  it('captions copies of a picture once', async () => {
    const { folder, examples } = await pictures(1);
    const [example] = examples;
    if (example === undefined) throw new Error('no example');
    const copies = ['a', 'b', 'c'].map((id) => ({ ...example, id }));
    let asked = 0;
    const captioners = [
      captioner('slow', async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return [`a dog ${++asked}`];
      }),
    ];
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    const results = await all(captionPictures(copies, { captioners, store }));
    await store.close();
    expect(asked).toBe(1);
    expect(results.map(({ captions }) => captions[0]?.text)).toEqual(Array(3).fill('a dog 1'));
  });

  it('stops where going on has no use', async () => {
    const { folder, examples } = await pictures(2);
    const captioners = [captioner('gone', () => Promise.reject(new UserError('There is no such model.')))];
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    await expect(all(captionPictures(examples, { captioners, store }))).rejects.toThrow('There is no such model.');
    await store.close();
  });

  it('ends at once when it is told to, and takes nothing of that for a failure', async () => {
    const { folder, examples } = await pictures(2);
    const controller = new AbortController();
    const captioners = [
      captioner('slow', () => {
        controller.abort();
        return Promise.reject(new Error('the captioners were closed'));
      }),
    ];
    const store = await openCaptionStore(join(folder, 'out.jsonl'));
    const stream = captionPictures(examples, { captioners, store, signal: controller.signal });
    await expect(all(stream)).rejects.toThrow(/aborted/);
    await store.close();
  });
});
