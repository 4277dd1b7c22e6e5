import { describe, expect, it } from 'vitest';
import { latentKey } from '../../../datasets/cache-keys.ts';
import { openCache } from '../../../datasets/cache.ts';
import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { loadExample, loadExamples } from '../../../datasets/load-example.ts';
import { planEpoch } from '../../../datasets/plan-epoch.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createRandom } from '../../../src/random.ts';
import { useTemporaryFolder } from './temporary-folder.ts';

const { at, write, plain } = useTemporaryFolder();

/** The colour of a plain picture, red, green and blue as two hexadecimal digits each. */
function colourOf({ data }: Tensor): string {
  const area = data.length / 3;
  const channel = (c: number): string =>
    Math.round((Number(data[c * area]) + 1) * 127.5)
      .toString(16)
      .padStart(2, '0');
  return `#${channel(0)}${channel(1)}${channel(2)}`;
}

describe('loadExample', () => {
  it('gives pixels and mask at the bucket’s size', async () => {
    await plain('d/a.png', 300, 200, '#ff8040');
    await plain('d/masks/a.png', 30, 20, '#ffffff');
    const { examples } = await loadDatasets([{ folder: at('d'), resolutions: [256], mask: { folder: 'masks' } }]);
    const [batch] = planEpoch({ examples, batchSize: 1, seed: 0, epoch: 0 });
    const [sample] = batch?.samples ?? [];
    if (batch === undefined || sample === undefined) throw new Error('no sample');
    const { height, width } = batch.bucket;
    const { pixels, mask } = await loadExample(sample);
    expect(pixels.shape).toEqual([3, height, width]);
    expect(colourOf(pixels)).toBe('#ff8040');
    expect(mask?.shape).toEqual([1, height / 32, width / 32]);
    expect(mask?.data.every((value) => value === 1)).toBe(true);
  });

  it('names the picture that has changed, or is gone, since the data set was read', async () => {
    await plain('d/a.png', 256, 256, '#ff8040');
    const { examples } = await loadDatasets([{ folder: at('d'), resolutions: [256] }]);
    const [sample] = planEpoch({ examples, batchSize: 1, seed: 0, epoch: 0 })[0]?.samples ?? [];
    if (sample === undefined) throw new Error('no sample');
    await plain('d/a.png', 256, 256, '#000000');
    await expect(loadExample(sample)).rejects.toThrow(
      'd/a.png: It has changed since the data set was read; start again.',
    );
    const gone = {
      ...sample,
      example: { ...sample.example, picture: { ...sample.example.picture, path: at('none') } },
    };
    await expect(loadExample(gone)).rejects.toThrow('d/a.png: It is gone.');
  });
});

describe('loadExamples', () => {
  it('never gives a picture, or its latents from a cache, another’s caption', async () => {
    // Each picture has its own colour, which its caption says; sizes, repeats, copies and crops mix them well.
    const random = createRandom('pairs');
    for (let i = 0; i < 24; i++) {
      const colour = `#${random
        .integer(2 ** 24)
        .toString(16)
        .padStart(6, '0')}`;
      const folder = i % 2 === 0 ? 'one' : 'two';
      await plain(`${folder}/${i}.png`, 80 + 8 * random.integer(20), 80 + 8 * random.integer(20), colour);
      if (i % 3 === 0) await write(`${folder}/${i}.txt`, `${colour}\n${colour}, again`);
      else await write(`${folder}/${i}.txt`, colour);
    }
    const common = { resolutions: [128, 64], crop: 'random', flip: true, shuffleTags: true, dropout: 0.2 } as const;
    const { examples } = await loadDatasets([
      { folder: at('one'), repeats: 2, ...common },
      { folder: at('two'), ...common },
    ]);
    const cache = await openCache(at('cache'));
    const options = { modelKey: 'none', dtype: 'float32' } as const;
    let checked = 0;
    let found = 0;
    for (const [run, seed] of [1, 2].entries()) {
      // The second run has another seed and another batch size, and finds some of its entries in the cache.
      const samples = [0, 1].flatMap((epoch) =>
        planEpoch({ examples, batchSize: 3 + run, seed, epoch }).flatMap((batch) => batch.samples),
      );
      for await (const { sample, pixels } of loadExamples(samples)) {
        const key = latentKey(sample, options);
        const cached = (await cache.get(key))?.get('latents');
        if (cached === undefined) await cache.put(key, [['latents', pixels]]);
        const latents = cached ?? pixels;
        const colours = new Set([colourOf(pixels), colourOf(latents)]);
        if (!sample.dropped) expect(new Set(sample.text.split(', ').filter((tag) => tag !== 'again'))).toEqual(colours);
        expect(colours.size).toBe(1);
        checked++;
        if (cached !== undefined) found++;
      }
    }
    expect(checked).toBeGreaterThan(100);
    expect(found).toBeGreaterThan(30);
  }, 30_000);
});
