import { UserError } from '../src/errors.ts';
import { createRandom } from '../src/random.ts';
import type { Random } from '../src/random.ts';
import { bucketName } from './buckets.ts';
import type { Bucket } from './buckets.ts';
import type { Example } from './example.ts';
import { byCodePoint } from './list-files.ts';
import { drawSample } from './sample.ts';
import type { Sample, Use } from './sample.ts';

/** Samples of one bucket, which one step may take at once. */
export interface Batch {
  readonly epoch: number;
  /** From 0 within the epoch. */
  readonly index: number;
  readonly bucket: Bucket;
  /** Instances first, then as many class samples if there are class pictures. */
  readonly samples: readonly Sample[];
  /**
   * How many samples are instances. The loss is sum(weight * mse) / instances, the mean of the instances plus
   * priorLossWeight times the mean of the class pictures, at any batch size.
   */
  readonly instances: number;
}

/** What a plan depends on; with these, an epoch and an index, every batch is determined. */
export interface PlanOptions {
  /** Those of kind `class` are paired with the instances. Their order does not matter. */
  readonly examples: readonly Example[];
  /** Instances a batch; class pictures come on top, as in diffusers. */
  readonly batchSize: number;
  readonly seed: number | string;
  /** @default 1 */
  readonly priorLossWeight?: number;
  /**
   * What happens to a bucket's last batch when it is not full. `keep`: it is used as it is, so that every picture comes
   * exactly its repeats in every epoch (as in kohya's scripts). `carry`: its pictures wait for the next epoch's, so that
   * every batch is full and every picture weighs the same (nothing is dropped). @default 'keep'
   */
  readonly incomplete?: 'keep' | 'carry';
}

/** Where a batch stands. */
export interface BatchPosition {
  readonly epoch: number;
  readonly index: number;
}

/** A bucket's pictures as an endless stream, a permutation for each pass. */
type Stream = (position: number) => { readonly use: Use; readonly pass: number };

interface BucketStreams {
  readonly bucket: Bucket;
  /** How many uses an epoch has. */
  readonly uses: number;
  readonly instances: Stream;
  /** Absent without class pictures. */
  readonly classes?: Stream;
}

interface Prepared {
  readonly buckets: readonly BucketStreams[];
  readonly root: Random;
  readonly options: PlanOptions;
}

/** A batch before its draws: which uses, and where it stands in its bucket's stream of all epochs. */
interface Slot {
  readonly streams: BucketStreams;
  readonly start: number;
  readonly count: number;
}

function prepare(options: PlanOptions): Prepared {
  const { examples, batchSize, seed } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new UserError(`The batch size is ${batchSize}; use a whole number from 1.`);
  }
  const sorted = examples.toSorted((a, b) => byCodePoint(a.id, b.id));
  const twice = sorted.find((example, i) => example.id === sorted[i + 1]?.id);
  if (twice !== undefined) throw new RangeError(`planEpoch: two examples have the id ${twice.id}`);
  const instances = sorted.filter(({ dataset }) => dataset.kind === 'instance');
  const classes = sorted.filter(({ dataset }) => dataset.kind === 'class');
  if (instances.length === 0) {
    throw new UserError('There are no instance pictures to train with; add a data set of them.');
  }
  const byName = new Map<string, { bucket: Bucket; uses: Use[] }>();
  for (const example of instances) {
    for (const bucket of example.buckets) {
      const name = bucketName(bucket);
      const entry = byName.get(name) ?? { bucket, uses: [] };
      byName.set(name, entry);
      for (let repeat = 0; repeat < example.dataset.repeats; repeat++) entry.uses.push({ example, bucket, repeat });
    }
  }
  const root = createRandom(seed);
  const buckets = [...byName]
    .sort(([a], [b]) => byCodePoint(a, b))
    .map(([name, { bucket, uses }]): BucketStreams => {
      // Class pictures of this shape if there are any; otherwise any, cut to it.
      const shaped = classes.filter((example) => example.buckets.some((own) => bucketName(own) === name));
      const pool = (shaped.length > 0 ? shaped : classes).map((example): Use => ({ example, bucket, repeat: 0 }));
      return {
        bucket,
        uses: uses.length,
        instances: openStream(uses, (pass) => root.fork(`epoch ${pass}`).fork(`bucket ${name}`)),
        ...(pool.length > 0 && {
          classes: openStream(pool, (pass) => root.fork(`class pass ${pass}`).fork(`bucket ${name}`)),
        }),
      };
    });
  return { buckets, root, options };
}

/** Element `position` of an endless stream that is one permutation of `uses` after another. */
function openStream(uses: readonly Use[], randomOf: (pass: number) => Random): Stream {
  const orders = new Map<number, readonly Use[]>();
  return (position) => {
    const pass = Math.floor(position / uses.length);
    let order = orders.get(pass);
    if (order === undefined) {
      order = randomOf(pass).shuffle([...uses]);
      if (orders.size > 3) orders.clear(); // an epoch's batches need few passes; a run has many
      orders.set(pass, order);
    }
    const use = order[position % uses.length];
    if (use === undefined) throw new RangeError(`openStream: position ${position} of a stream without pictures`);
    return { use, pass };
  };
}

/** The batches of one bucket in an epoch, first to last. */
function slotsOf(streams: BucketStreams, { batchSize, incomplete = 'keep' }: PlanOptions, epoch: number): Slot[] {
  const total = streams.uses;
  const begin = epoch * total;
  if (incomplete === 'keep') {
    return Array.from({ length: Math.ceil(total / batchSize) }, (_, i) => ({
      streams,
      start: begin + i * batchSize,
      count: Math.min(batchSize, total - i * batchSize),
    }));
  }
  const first = Math.floor(begin / batchSize);
  const end = Math.floor((begin + total) / batchSize);
  return Array.from({ length: end - first }, (_, i) => ({ streams, start: (first + i) * batchSize, count: batchSize }));
}

/** An epoch's batches in their order, before draws. */
function orderEpoch({ buckets, root, options }: Prepared, epoch: number): Slot[] {
  const slots = buckets.flatMap((streams) => slotsOf(streams, options, epoch));
  return root.fork(`epoch ${epoch}`).fork('batches').shuffle(slots);
}

function drawBatch({ root, options }: Prepared, { streams, start, count }: Slot, position: BatchPosition): Batch {
  const { bucket } = streams;
  const positions = Array.from({ length: count }, (_, i) => start + i);
  const instances = positions.map((at) => {
    const { use, pass } = streams.instances(at);
    return drawSample(use, root.fork(`epoch ${pass}`), pass, 1);
  });
  const { priorLossWeight = 1 } = options;
  const prior = positions.flatMap((at) => {
    if (streams.classes === undefined) return [];
    const { use, pass } = streams.classes(at);
    return [drawSample(use, root.fork(`class pass ${pass}`), position.epoch, priorLossWeight)];
  });
  return { ...position, bucket, samples: [...instances, ...prior], instances: count };
}

/**
 * The batches of one epoch. It is a pure function of its arguments: the same seed and epoch give the same batches on
 * every machine, whatever came before. With `keep`, every instance is in exactly `repeats` samples a resolution.
 * @throws UserError for a batch size below 1 or without instance pictures
 */
export function planEpoch({ epoch, ...options }: PlanOptions & { readonly epoch: number }): Batch[] {
  const prepared = prepare(options);
  return orderEpoch(prepared, epoch).map((slot, index) => drawBatch(prepared, slot, { epoch, index }));
}

/** How many batches an epoch has; with 'carry' epochs differ by what was left over. */
export function countBatches({ epoch, ...options }: PlanOptions & { readonly epoch: number }): number {
  return prepare(options).buckets.reduce((sum, streams) => sum + slotsOf(streams, options, epoch).length, 0);
}

/** Where the batch stands that comes after `done` batches of a run. */
export function locateBatch({ done, ...options }: PlanOptions & { readonly done: number }): BatchPosition {
  const { buckets } = prepare(options);
  let left = done;
  for (let epoch = 0; ; epoch++) {
    const count = buckets.reduce((sum, streams) => sum + slotsOf(streams, options, epoch).length, 0);
    if (left < count) return { epoch, index: left };
    left -= count;
  }
}

/** All batches from `position` on, epoch after epoch, without end; each is drawn when it is asked for. */
export function* planFrom({
  position,
  ...options
}: PlanOptions & { readonly position: BatchPosition }): Generator<Batch, never> {
  const prepared = prepare(options);
  for (let { epoch, index } = position; ; epoch++, index = 0) {
    const slots = orderEpoch(prepared, epoch);
    for (const [i, slot] of slots.entries()) if (i >= index) yield drawBatch(prepared, slot, { epoch, index: i });
  }
}
