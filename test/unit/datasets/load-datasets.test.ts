import { mkdir, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadDatasets } from '../../../datasets/load-datasets.ts';
import type { LoadedDatasets } from '../../../datasets/load-datasets.ts';
import type { DatasetOptions } from '../../../datasets/dataset-options.ts';
import { openPictureIndex } from '../../../datasets/picture-index.ts';
import { bucketCounts, formatReport } from '../../../datasets/report.ts';
import { createRandom } from '../../../src/random.ts';
import { useTemporaryFolder } from './temporary-folder.ts';

const { at, write, plain } = useTemporaryFolder();

/** A picture unlike every other of another seed. */
async function photo(name: string, width: number, height: number, seed: number): Promise<void> {
  const random = createRandom(seed);
  const data = Uint8Array.from({ length: 8 * 8 * 3 }, () => random.integer(256));
  const small = sharp(data, { raw: { width: 8, height: 8, channels: 3 } });
  const format = name.endsWith('.png') ? 'png' : 'jpeg';
  await write(name, await small.resize(width, height, { fit: 'fill', kernel: 'nearest' }).toFormat(format).toBuffer());
}

async function load(options: Partial<DatasetOptions> = {}): Promise<LoadedDatasets> {
  return await loadDatasets([{ folder: at('d'), resolutions: [256], ...options }]);
}

function notesOf({ report }: LoadedDatasets): Record<string, string[]> {
  return Object.fromEntries(
    report.entries.map(({ name, status, notes }) => [name, [status, ...notes.map((n) => n.kind)]]),
  );
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : 'no Error'),
  );
}

describe('loadDatasets', () => {
  it('brings pictures together with captions from .txt files, one a line', async () => {
    await photo('d/a.png', 256, 256, 1);
    await write('d/a.txt', 'a dog\r\n\nthe dog sits\n');
    await photo('d/sub/b.JPEG.jpg', 400, 300, 2);
    await write('d/sub/b.JPEG.txt', 'two');
    const { examples, report } = await load();
    expect(examples.map(({ id, captions }) => [id, ...captions.map(({ text }) => text)])).toEqual([
      ['d/a.png', 'a dog', 'the dog sits'],
      ['d/sub/b.JPEG.jpg', 'two'],
    ]);
    expect(examples[0]?.picture).toMatchObject({ format: 'png', height: 256, width: 256, hasAlpha: false });
    expect(examples[0]?.picture.contentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(report.entries.flatMap(({ notes }) => notes.map(({ kind }) => kind))).toEqual(['captions']);
    expect(report.notes).toEqual([]);
  });

  it('prefers a table, falls back to .txt, then to the instance prompt, and reports what is left over', async () => {
    for (const [i, name] of ['a', 'b', 'c', 'd'].entries()) await photo(`d/${name}.png`, 256, 256, i);
    await write('d/metadata.csv', 'file_name,text\na.png,from table\na.png,again\ngone.png,nothing\nd.png,\n');
    await write('d/a.txt', 'not this');
    await write('d/b.txt', 'from text');
    await write('d/README.txt', 'about');
    await write('d/notes.docx', 'x');
    const { examples, report } = await load({ instancePrompt: 'a sks dog' });
    expect(examples.map(({ captions }) => captions.map(({ text }) => text))).toEqual([
      ['from table', 'again'],
      ['from text'],
      ['a sks dog'],
      ['a sks dog'],
    ]);
    expect(report.entries[3]?.notes).toEqual([
      { kind: 'empty-caption', message: 'Its caption is empty; the instance prompt was taken.' },
    ]);
    expect(report.notes.map(({ message }) => message)).toEqual([
      'metadata.csv has a caption for "gone.png", and there is no such picture.',
      'README.txt is a caption without a picture.',
      'd has files that are neither pictures nor captions (1): notes.docx.',
    ]);
  });

  it('reports missing and empty captions, and takes them from names or the prompt when asked', async () => {
    await photo('d/red_dog 1.png', 256, 256, 1);
    await photo('d/x.png', 256, 256, 2);
    await write('d/x.txt', ' \n');
    const loaded = await load();
    expect(notesOf(loaded)).toEqual({ 'red_dog 1.png': ['used', 'no-caption'], 'x.png': ['used', 'empty-caption'] });
    expect(loaded.examples.map(({ captions }) => captions)).toEqual([[{ text: '' }], [{ text: '' }]]);
    const named = await load({ captionsFrom: 'filename' });
    expect(named.examples[0]?.captions[0]?.text).toBe('red dog');
    const prompted = await load({ captionsFrom: 'instance_prompt', instancePrompt: 'a dog' });
    expect(prompted.examples.map(({ captions }) => captions[0]?.text)).toEqual(['a dog', 'a dog']);
    expect(notesOf(prompted)).toEqual({ 'red_dog 1.png': ['used'], 'x.png': ['used'] });
    expect(await refusal(load({ captionsFrom: 'instance_prompt' }))).toContain('there is none; set one.');
    expect(await refusal(load({ captionsFrom: 'table' }))).toContain('has no table of captions');
    expect(await refusal(load({ captionTable: 'none.csv' }))).toContain('there is no such file');
  });

  it('lists every picture that it cannot use, with a reason, and goes on', async () => {
    await photo('d/good.png', 256, 256, 1);
    await photo('d/whole.jpg', 640, 480, 2);
    await photo('d/tiny.png', 40, 300, 3);
    await photo('d/large.png', 1100, 1000, 4);
    const whole = await sharp(at('d/whole.jpg')).toBuffer();
    await writeFile(at('d/cut.jpg'), whole.subarray(0, whole.length / 2));
    await write('d/empty.jpg', '');
    await write('d/text.png', 'this is a text');
    await write('d/phone.heic', '\0\0\0\x18ftypheic\0\0\0\0mif1heic');
    await write('d/vector.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>');
    const loaded = await load({ maxPixels: 1_000_000, maxFileBytes: 10_000_000, instancePrompt: 'x' });
    expect(notesOf(loaded)).toEqual({
      'cut.jpg': ['left-out', 'unreadable'],
      'empty.jpg': ['left-out', 'unreadable'],
      'good.png': ['used'],
      'large.png': ['left-out', 'huge'],
      'phone.heic': ['left-out', 'unsupported'],
      'text.png': ['left-out', 'unsupported'],
      'tiny.png': ['left-out', 'tiny'],
      'vector.svg': ['left-out', 'unsupported'],
      'whole.jpg': ['used'],
    });
    const lines = formatReport(loaded.report);
    expect(lines[0]).toBe('2 pictures used, 7 files left out');
    expect(lines).toContain(
      'left out  d/tiny.png: It has 300 x 40 pixels, and 64 is the least for a side; use a larger one.',
    );
    expect(lines).toContain('left out  d/empty.jpg: It is empty (0 bytes); save or download it again.');
    expect(await refusal(load({ maxFileBytes: 4, files: ['good.png'] }))).toContain('and 4 is the most that is read');
  });

  it('names the folder, and the first reason, when nothing can be used', async () => {
    await mkdir(at('d'));
    expect(await refusal(load())).toBe(
      `UserError: There are no pictures in ${at('d')}; put jpeg, png, webp, avif, tiff or gif files there, or check the path and the patterns.`,
    );
    await write('d/a.png', 'text');
    expect(await refusal(load())).toMatch(
      /^UserError: None of the 1 pictures in .* can be used. a.png: It is no picture/,
    );
    expect(await refusal(load({ folder: at('none') }))).toContain('There is no folder');
    expect(await refusal(load({ repeats: 0 }))).toContain('number of repeats is 0; use a whole number from 1.');
    expect(await refusal(load({ dropout: 2 }))).toContain('The caption dropout is 2; use a share from 0 to 1.');
    expect(await refusal(load({ resolutions: [] }))).toContain('has no resolution');
    expect(await refusal(load({ resolutions: [300] }))).toContain('use a multiple of 32');
  });

  it('reports exact copies, over all data sets, and leaves them out when asked; and near copies', async () => {
    await photo('d/a.png', 256, 256, 1);
    await photo('d/b.png', 256, 256, 1);
    await photo('d/c.jpg', 300, 300, 1);
    await photo('e/a.png', 256, 256, 1);
    await photo('e/z.png', 256, 256, 5);
    const options = { resolutions: [256], instancePrompt: 'x' };
    const kept = await loadDatasets([
      { folder: at('d'), ...options },
      { folder: at('e'), ...options, duplicates: 'skip' },
    ]);
    expect(kept.examples.map(({ id }) => id)).toEqual(['d/a.png', 'd/b.png', 'd/c.jpg', 'e/z.png']);
    const messages = kept.report.entries.flatMap(({ notes }) => notes.map(({ message }) => message));
    expect(messages).toEqual([
      'It is the same file as d/a.png; both are used.',
      'It looks like d/a.png; both are used.',
      'It is the same file as d/a.png; it was left out.',
    ]);
    await photo('class/0.png', 280, 280, 1);
    const withClass = await loadDatasets([
      { folder: at('e'), ...options },
      { folder: at('class'), ...options, kind: 'class' },
    ]);
    expect(withClass.report.entries.flatMap(({ notes }) => notes)).toEqual([]);
    expect(
      await refusal(
        loadDatasets([
          { folder: at('d'), ...options },
          { folder: at('d'), ...options },
        ]),
      ),
    ).toContain('Two data sets are called "d"');
  });

  it('uses a picture at each resolution that it is large enough for, and says how it is changed', async () => {
    await photo('d/large.png', 700, 700, 1);
    await photo('d/small.png', 200, 200, 2);
    await photo('d/strip.png', 3000, 300, 3);
    const loaded = await load({ resolutions: [512, 256], instancePrompt: 'x' });
    expect(loaded.examples.map(({ buckets }) => buckets.map(({ resolution }) => resolution))).toEqual([
      [256, 512],
      [256],
      [256, 512],
    ]);
    expect(notesOf(loaded)).toEqual({
      'large.png': ['used'],
      'small.png': ['used', 'enlarged', 'enlarged'],
      'strip.png': ['used', 'cut'],
    });
    expect(
      bucketCounts(loaded.report).map(({ bucket, pictures }) => [
        bucket.resolution,
        bucket.height,
        bucket.width,
        pictures,
      ]),
    ).toEqual([
      [256, 256, 256, 2],
      [256, 128, 512, 1],
      [512, 256, 1024, 1],
      [512, 512, 512, 1],
    ]);
  });

  it('finds masks of the same names in a folder, also in the data set’s own', async () => {
    await photo('d/a.png', 256, 256, 1);
    await photo('d/b.jpg', 256, 256, 2);
    await plain('d/masks/a.jpg', 64, 64, '#fff');
    const loaded = await load({ mask: { folder: 'masks' }, instancePrompt: 'x' });
    expect(loaded.examples.map(({ mask }) => mask?.kind)).toEqual(['file', undefined]);
    expect(notesOf(loaded)).toEqual({ 'a.png': ['used'], 'b.jpg': ['used', 'no-mask'] });
    const alpha = await load({ mask: 'alpha', instancePrompt: 'x', files: ['*.png'] });
    expect(alpha.examples).toHaveLength(1);
    expect(notesOf(alpha)).toEqual({ 'a.png': ['used', 'no-mask'] });
  });

  it('checks a picture once, and again when its content changed', async () => {
    await photo('d/a.png', 256, 256, 1);
    const index = await openPictureIndex(at('cache/pictures.jsonl'));
    const options = { folder: at('d'), resolutions: [256], instancePrompt: 'x' };
    const first = await loadDatasets([options], { index });
    await writeFile(at('cache/pictures.jsonl'), '{"version":1,"hash":"cut', { flag: 'a' });
    const again = await openPictureIndex(at('cache/pictures.jsonl'));
    const hash = first.examples[0]?.picture.contentHash ?? '';
    expect(again.get(hash)).toEqual(index.get(hash));
    expect(again.get(hash)?.width).toBe(256);
    await photo('d/a.png', 320, 256, 1);
    const changed = await loadDatasets([options], { index: again });
    expect(changed.examples[0]?.picture.width).toBe(320);
    const third = await openPictureIndex(at('cache/pictures.jsonl'));
    expect(third.get(changed.examples[0]?.picture.contentHash ?? '')?.width).toBe(320);
  });
});
