import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { captionStage, type CaptionStageResult, describeCaptions } from '../../../src/caption/caption-stage.ts';
import { parseConfig } from '../../../src/config/load-config.ts';
import type { TrainEvent } from '../../../src/events.ts';

const goldens = join(import.meta.dirname, '../metrics/goldens');

/** A folder of two pictures; the first one has a caption of its own. */
async function setUp(): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), 'stage-')), 'photos');
  await mkdir(folder);
  for (const [i, background] of ['#aa3344', '#22cc55'].entries()) {
    await sharp({ create: { width: 96, height: 64, channels: 3, background } })
      .png()
      .toFile(join(folder, `${i}.png`));
  }
  await writeFile(join(folder, '0.txt'), 'mine\n');
  return folder;
}

async function run(
  folder: string,
  caption: object,
): Promise<CaptionStageResult & { readonly events: readonly TrainEvent[]; readonly warnings: readonly string[] }> {
  const { config } = await parseConfig({
    model: 'sana-pico',
    dataset: { path: folder, cache_dir: join(folder, '..', 'cache') },
    caption: { clip_model: 'none', captioners: [{ type: 'template', template: 'a [filename]' }], ...caption },
    run_dir: join(folder, '..', 'run'),
  });
  const datasets = await loadDatasets([{ folder, files: ['*.png', '*.txt'], name: 'set', resolutions: [64] }]);
  const stage = captionStage(config, 'test', datasets);
  const events: TrainEvent[] = [];
  for (;;) {
    const { value, done } = await stage.next();
    if (done === true) {
      const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
      return { ...value, events, warnings };
    }
    events.push(value);
  }
}

const texts = async (folder: string): Promise<readonly string[]> =>
  await Promise.all(
    (await readdir(folder))
      .filter((name) => name.endsWith('.txt'))
      .toSorted()
      .map((name) => readFile(join(folder, name), 'utf8')),
  );

describe('captionStage', () => {
  it("writes .txt files only where that was asked, and over a person's own only with overwrite", async () => {
    const folder = await setUp();
    await run(folder, {});
    expect(await texts(folder)).toEqual(['mine\n']);
    await run(folder, { write_txt: 'missing' });
    expect(await texts(folder)).toEqual(['mine\n', 'a\n']);
    await run(folder, { write_txt: 'overwrite', captioners: [{ type: 'template', template: 'new' }] });
    expect(await texts(folder)).toEqual(['new\n', 'new\n']);
  });

  it("writes NVlabs' files and takes them for captions of another run", async () => {
    const folder = await setUp();
    await run(folder, { nvlabs_files: true, captioners: [{ type: 'template', name: 'vila', template: 'a fox' }] });
    const { pictures, incomplete, examples } = await run(folder, { captioners: [{ type: 'existing' }] });
    expect(incomplete).toBe(0);
    expect(pictures.map(({ captions }) => captions.map(({ text }) => text))).toEqual([['mine', 'a fox'], ['a fox']]);
    expect(examples[1]?.captions[0]?.text).toBe('a fox');
  });

  it('tells of pictures below a score, and leaves them out where that is asked', async () => {
    const folder = await setUp();
    const caption = { clip_model: join(goldens, 'clip'), captioners: [{ type: 'template', template: 'a teal dog' }] };
    const min_score = 100;
    const kept = await run(folder, { ...caption, min_score });
    expect(kept.examples).toHaveLength(2);
    expect(kept.warnings.filter((message) => message.includes('below min_score'))).toHaveLength(2);
    const left = await run(folder, { ...caption, min_score, below_min_score: 'skip' });
    expect(left.examples).toHaveLength(0);
  }, 60_000);

  it('goes on without a server that is down, and says which pictures lack its captions', async () => {
    const folder = await setUp();
    const down = { type: 'openai', base_url: 'http://127.0.0.1:9/v1', model: 'm', max_retries: 0 };
    const { pictures, incomplete, warnings } = await run(folder, {
      selection: 'uniform',
      captioners: [down, { type: 'template', template: 'a fox' }],
    });
    expect(incomplete).toBe(2);
    expect(pictures.map(({ captions }) => captions.map(({ text }) => text))).toEqual([['a fox'], ['a fox']]);
    const told = warnings.filter((message) => message.includes('could not be asked')).toSorted();
    expect(told.map((message) => message.slice(0, 29))).toEqual([
      'set/0.png has no caption by m',
      'set/1.png has no caption by m',
    ]);
  });

  it('says which [trigger] has nothing to stand for', async () => {
    const folder = await setUp();
    const captioners = [{ type: 'template', template: 'x', prefix: 'a photo of [trigger], ' }];
    expect((await run(folder, { captioners })).warnings.join()).toMatch(/template has \[trigger\].*no trigger_word/);
  });
});

describe('describeCaptions', () => {
  it('makes the page of the captions that there are', async () => {
    const folder = await setUp();
    const { config } = await parseConfig({
      model: 'sana-pico',
      dataset: { path: folder },
      run_dir: join(folder, '..', 'run'),
    });
    const datasets = await loadDatasets([{ folder, name: 'set', resolutions: [64] }]);
    const stage = describeCaptions(config, 'test', datasets);
    expect((await stage.next()).value).toMatchObject({ kind: 'export', format: 'page' });
    expect(await stage.next()).toMatchObject({ done: true, value: { incomplete: 1 } });
    const page = await readFile(join(folder, '..', 'run', 'captions.html'), 'utf8');
    expect(page).toMatch(/2 pictures, 1 without some caption/);
    expect(page).toContain('mine');
  });
});
