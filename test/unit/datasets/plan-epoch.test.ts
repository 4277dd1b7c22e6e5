import { describe, expect, it } from 'vitest';
import { bucketName } from '../../../datasets/buckets.ts';
import type { Example } from '../../../datasets/example.ts';
import { holdOut } from '../../../datasets/hold-out.ts';
import { countBatches, locateBatch, planEpoch, planFrom } from '../../../datasets/plan-epoch.ts';
import type { Batch, PlanOptions } from '../../../datasets/plan-epoch.ts';
import { plainSample } from '../../../datasets/sample.ts';
import { createRandom } from '../../../src/random.ts';
import type { Random } from '../../../src/random.ts';
import { madeUpExample } from './made-up-example.ts';

const seeds = Array.from({ length: 40 }, (_, i) => i);

/** Options of every kind: sizes, repeats, resolutions, several data sets, with class pictures or without. */
function anyOptions(
  random: Random,
  incomplete: 'keep' | 'carry' = 'keep',
): PlanOptions & { readonly examples: Example[] } {
  const kinds = random.uniform() < 0.5 ? (['instance'] as const) : (['instance', 'class'] as const);
  const examples = kinds.flatMap((kind) => {
    const use = {
      name: kind,
      kind,
      repeats: 1 + random.integer(4),
      crop: random.uniform() < 0.5 ? ('random' as const) : ('center' as const),
      flip: random.uniform() < 0.5,
      weight: 1 + random.integer(3),
      captions: { shuffleTags: true, dropout: 0.2, triggerWord: 'sks' },
    };
    return Array.from({ length: 1 + random.integer(25) }, (_, i) =>
      madeUpExample(`${kind}-${i}.png`, {
        height: 300 + random.integer(900),
        width: 300 + random.integer(900),
        resolutions: random.uniform() < 0.3 ? [256, 512] : [512],
        captions: Array.from({ length: 1 + random.integer(3) }, (_, c) => `${kind}-${i}, version ${c}, tag`),
        use,
      }),
    );
  });
  return { examples, batchSize: 1 + random.integer(6), seed: random.integer(1000), incomplete, priorLossWeight: 0.5 };
}

const samplesOf = (batches: readonly Batch[]): Batch['samples'][number][] => batches.flatMap(({ samples }) => samples);
const instancesOf = (batches: readonly Batch[]): Batch['samples'][number][] =>
  batches.flatMap(({ samples, instances }) => samples.slice(0, instances));

describe('planEpoch', () => {
  it('uses every picture exactly its repeats times at each of its resolutions in every epoch', () => {
    for (const seed of seeds) {
      const options = anyOptions(createRandom(seed));
      for (const epoch of [0, 1, 7]) {
        const counts = new Map<string, number>();
        for (const { example, bucket } of instancesOf(planEpoch({ ...options, epoch }))) {
          const key = `${example.id} ${bucketName(bucket)}`;
          counts.set(key, (counts.get(key) ?? 0) + 1);
        }
        const expected = options.examples
          .filter(({ dataset }) => dataset.kind === 'instance')
          .flatMap(({ id, buckets, dataset }) =>
            buckets.map((b) => [`${id} ${bucketName(b)}`, dataset.repeats] as const),
          );
        expect(counts).toEqual(new Map(expected));
      }
    }
  });

  it('never mixes buckets in a batch, nor makes one too large', () => {
    for (const seed of seeds) {
      const options = anyOptions(createRandom(seed));
      for (const { bucket, samples, instances } of planEpoch({ ...options, epoch: 3 })) {
        expect(instances).toBeGreaterThan(0);
        expect(instances).toBeLessThanOrEqual(options.batchSize);
        for (const sample of samples) {
          expect(sample.bucket).toEqual(bucket);
          const { crop, resize } = sample.placement;
          expect([crop.height, crop.width]).toEqual([bucket.height, bucket.width]);
          expect(crop.top + crop.height).toBeLessThanOrEqual(resize.height);
          expect(crop.left + crop.width).toBeLessThanOrEqual(resize.width);
        }
      }
    }
  });

  it('never brings a picture together with the caption of another', () => {
    for (const seed of seeds) {
      for (const incomplete of ['keep', 'carry'] as const) {
        const options = anyOptions(createRandom(seed), incomplete);
        for (const { example, text, dropped } of [0, 1, 2].flatMap((epoch) =>
          samplesOf(planEpoch({ ...options, epoch })),
        )) {
          if (dropped) expect(text).toBe('');
          else expect(text).toContain(example.picture.name.replace('.png', ''));
          const tags = text.split(', ').filter((tag) => /^(instance|class)-/.test(tag));
          expect(tags).toEqual(dropped ? [] : [example.picture.name.replace('.png', '')]);
        }
      }
    }
  });

  it('depends on seed, epoch and pictures alone, not on their order', () => {
    const options = anyOptions(createRandom('order'));
    const once = planEpoch({ ...options, epoch: 2 });
    expect(planEpoch({ ...options, epoch: 2 })).toEqual(once);
    expect(planEpoch({ ...options, examples: options.examples.toReversed(), epoch: 2 })).toEqual(once);
    const order = (batches: readonly Batch[]): string =>
      instancesOf(batches)
        .map(({ example }) => example.id)
        .join();
    expect(order(planEpoch({ ...options, epoch: 3 }))).not.toBe(order(once));
    expect(order(planEpoch({ ...options, seed: 'another', epoch: 2 }))).not.toBe(order(once));
  });

  it('draws crop and mirroring anew in each epoch, and the same for a picture when others come and go', () => {
    const use = { crop: 'random', flip: true } as const;
    const all = ['a', 'b', 'c', 'd'].map((name) => madeUpExample(name, { height: 300, width: 3000, use }));
    const placements = (examples: readonly Example[], epoch: number): Map<string, string> =>
      new Map(
        samplesOf(planEpoch({ examples, batchSize: 1, seed: 1, epoch })).map(({ example, placement }) => [
          example.id,
          JSON.stringify(placement),
        ]),
      );
    const [a = madeUpExample('a')] = all;
    expect(placements([a], 5).get('d/a')).toBe(placements(all, 5).get('d/a'));
    const seen = new Set(Array.from({ length: 12 }, (_, epoch) => placements(all, epoch).get('d/a')));
    expect(seen.size).toBeGreaterThan(8);
    const flips = Array.from({ length: 200 }, (_, epoch) =>
      (placements([a], epoch).get('d/a') ?? '').includes('"flip":true'),
    );
    expect(flips.filter(Boolean).length).toBeGreaterThan(70);
    expect(flips.filter(Boolean).length).toBeLessThan(130);
  });

  it('keeps a small last batch, or carries its pictures into the next epoch', () => {
    const examples = Array.from({ length: 5 }, (_, i) => madeUpExample(`${i}`));
    const sizes = (incomplete: 'keep' | 'carry', epoch: number): number[] =>
      planEpoch({ examples, batchSize: 2, seed: 0, epoch, incomplete })
        .map(({ samples }) => samples.length)
        .sort((a, b) => a - b);
    expect(sizes('keep', 0)).toEqual([1, 2, 2]);
    expect([0, 1, 2].map((epoch) => sizes('carry', epoch))).toEqual([
      [2, 2],
      [2, 2, 2],
      [2, 2],
    ]);
    const carried = [0, 1].flatMap((epoch) =>
      samplesOf(planEpoch({ examples, batchSize: 2, seed: 0, epoch, incomplete: 'carry' })),
    );
    const counts = carried.map(({ example }) => carried.filter((other) => other.example === example).length);
    expect(new Set(counts)).toEqual(new Set([2]));
    expect(carried.filter(({ epoch }) => epoch === 1)).toHaveLength(5);
  });

  it('carries over several epochs where a bucket has fewer pictures than a batch', () => {
    const options = {
      examples: [madeUpExample('a'), madeUpExample('b')],
      batchSize: 5,
      seed: 0,
      incomplete: 'carry' as const,
    };
    expect([0, 1, 2, 3, 4].map((epoch) => countBatches({ ...options, epoch }))).toEqual([0, 0, 1, 0, 1]);
    expect(locateBatch({ ...options, done: 1 })).toEqual({ epoch: 4, index: 0 });
  });

  it('pairs each instance with a class picture, weighted, so that the loss is right at any batch size', () => {
    const prior = { name: 'prior', kind: 'class', weight: 1 } as const;
    const examples = [
      ...Array.from({ length: 5 }, (_, i) => madeUpExample(`i${i}`, { use: { weight: 2 } })),
      ...Array.from({ length: 3 }, (_, i) => madeUpExample(`c${i}`, { use: prior })),
    ];
    const options = { examples, batchSize: 2, seed: 4, priorLossWeight: 0.5 };
    const batches = [0, 1, 2].flatMap((epoch) => planEpoch({ ...options, epoch }));
    for (const { samples, instances } of batches) {
      expect(samples).toHaveLength(2 * instances);
      expect(samples.map(({ example }) => example.dataset.kind)).toEqual([
        ...Array<string>(instances).fill('instance'),
        ...Array<string>(instances).fill('class'),
      ]);
      expect(samples.map(({ weight }) => weight)).toEqual([
        ...Array<number>(instances).fill(2),
        ...Array<number>(instances).fill(0.5),
      ]);
    }
    // 15 class samples over three epochs: each of the three pictures five times.
    const classes = samplesOf(batches).filter(({ example }) => example.dataset.kind === 'class');
    for (const name of ['c0', 'c1', 'c2']) {
      expect(classes.filter(({ example }) => example.picture.name === name)).toHaveLength(5);
    }
  });

  it('cuts class pictures to the instances’ bucket, preferring those of its shape', () => {
    const prior = { name: 'prior', kind: 'class' } as const;
    const wide = madeUpExample('wide', { height: 512, width: 1024 });
    const square = madeUpExample('square', { use: prior });
    const only = planEpoch({ examples: [wide, square], batchSize: 1, seed: 0, epoch: 0 });
    expect(only[0]?.samples[1]).toMatchObject({ example: square, placement: { crop: { height: 352, width: 704 } } });
    const wideClass = madeUpExample('wide class', { height: 500, width: 1000, use: prior });
    for (let epoch = 0; epoch < 5; epoch++) {
      const [batch] = planEpoch({ examples: [wide, square, wideClass], batchSize: 1, seed: 0, epoch });
      expect(batch?.samples[1]?.example).toBe(wideClass);
    }
  });

  it('says what it cannot plan', () => {
    const examples = [madeUpExample('a')];
    expect(() => planEpoch({ examples, batchSize: 0, seed: 0, epoch: 0 })).toThrow(
      'The batch size is 0; use a whole number from 1.',
    );
    expect(() => planEpoch({ examples: [], batchSize: 1, seed: 0, epoch: 0 })).toThrow(
      'There are no instance pictures',
    );
    expect(() => planEpoch({ examples: [...examples, ...examples], batchSize: 1, seed: 0, epoch: 0 })).toThrow(
      'two examples have the id d/a',
    );
  });
});

describe('planFrom', () => {
  it('goes on at any position as the uninterrupted run does', () => {
    for (const incomplete of ['keep', 'carry'] as const) {
      const options = anyOptions(createRandom('resume'), incomplete);
      const whole = [0, 1, 2, 3].flatMap((epoch) => planEpoch({ ...options, epoch }));
      for (const done of [0, 1, 5, whole.length - 1]) {
        const position = locateBatch({ ...options, done });
        const rest: Batch[] = [];
        for (const batch of planFrom({ ...options, position })) {
          if (rest.length === whole.length - done) break;
          rest.push(batch);
        }
        expect(rest).toEqual(whole.slice(done));
      }
      expect(countBatches({ ...options, epoch: 0 })).toBe(planEpoch({ ...options, epoch: 0 }).length);
    }
  });

  it('plans ten thousand pictures in a moment', () => {
    const examples = Array.from({ length: 10_000 }, (_, i) =>
      madeUpExample(`${i}`, { height: 400 + (i % 300), use: { flip: true } }),
    );
    const start = performance.now();
    const batches = planFrom({ examples, batchSize: 4, seed: 0, position: { epoch: 0, index: 0 } });
    for (let i = 0; i < 10; i++) expect(batches.next().value.samples.length).toBeGreaterThan(0);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

describe('plainSample', () => {
  it('is the centre with the first caption, whatever the data set draws', () => {
    const example = madeUpExample('a', {
      height: 700,
      width: 800,
      captions: ['one', 'two'],
      use: { crop: 'random', flip: true, captions: { dropout: 1, triggerWord: 'sks' } },
    });
    const [bucket] = example.buckets;
    if (bucket === undefined) throw new Error('no bucket');
    const sample = plainSample(example, bucket);
    expect(sample).toMatchObject({
      text: 'sks, one',
      dropped: false,
      placement: { flip: false, crop: { top: 0, left: 2 } },
    });
    expect(plainSample(example, bucket)).toEqual(sample);
  });
});

describe('holdOut', () => {
  it('keeps back whole pictures, never the last one, and few others when pictures are added', () => {
    const examples = Array.from({ length: 10 }, (_, i) => madeUpExample(`${i}`));
    const copy = madeUpExample('0', { use: { name: 'e' } });
    const { training, validation } = holdOut([...examples, copy], { count: 3, seed: 1 });
    expect(new Set(validation.map(({ picture }) => picture.contentHash)).size).toBe(3);
    expect(training.length + validation.length).toBe(11);
    expect(training.some((t) => validation.some((v) => v.picture.contentHash === t.picture.contentHash))).toBe(false);
    expect(holdOut(examples, { count: 99, seed: 1 }).training).toHaveLength(1);
    const prior = madeUpExample('c', { use: { name: 'p', kind: 'class' } });
    expect(holdOut([prior, ...examples], { count: 9, seed: 1 }).training).toContain(prior);
  });
});
