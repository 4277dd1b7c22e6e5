import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { decodeForModels } from '../../../src/caption/decode-for-models.ts';
import { loadClip } from '../../../src/caption/load-clip.ts';
import { cosine } from '../../../src/metrics/cosine.ts';

// A tiny random CLIP and transformers' scores by it, written by tools/goldens/clip.py.
const goldens = join(import.meta.dirname, '../metrics/goldens');
const access = { remote: false, host: 'http://127.0.0.1:9', cacheDir: '/nowhere', threads: 1 };

interface Golden {
  readonly pictures: readonly string[];
  readonly captions: readonly string[];
  readonly scores: readonly (readonly number[])[];
}

describe('loadClip', () => {
  it("scores as transformers' CLIP on the same weights, to 1e-4", async () => {
    const golden = JSON.parse(await readFile(join(goldens, 'clip-scores.json'), 'utf8')) as Golden;
    const clip = await loadClip(join(goldens, 'clip'), access);
    const items = await Promise.all(
      golden.pictures.map(async (hash) => ({
        hash,
        picture: await decodeForModels(await readFile(join(goldens, `${hash}.png`))),
        texts: golden.captions,
      })),
    );
    const ratings = await clip.rate(items, 'truncate');
    for (const [i, scores] of golden.scores.entries()) {
      for (const [j, score] of scores.entries()) {
        expect(Math.abs((ratings[i]?.[j]?.score ?? 0) - score), golden.captions[j]?.slice(0, 20)).toBeLessThan(1e-4);
      }
    }
    expect(ratings[0]?.map(({ excess }) => excess > 0)).toEqual([false, false, false, false, true]);

    const [best] = await clip.rate(items.slice(0, 1), 'best');
    expect(best?.[0]?.score).toBeCloseTo(golden.scores[0]?.[0] ?? 0, 4);
    const { pictures, texts } = await clip.embed(
      items.map(({ picture }) => picture),
      golden.captions,
    );
    for (const [i, picture] of pictures.entries()) {
      for (const [j, text] of texts.entries()) {
        expect(100 * cosine(picture, text)).toBeCloseTo(golden.scores[i]?.[j] ?? 0, 4);
      }
    }
    expect(best?.[4]?.score).toBeGreaterThanOrEqual(ratings[0]?.[4]?.score ?? 0);
  });
});
