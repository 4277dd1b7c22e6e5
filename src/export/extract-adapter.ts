import type { Engine } from '../engine/engine.ts';
import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { readTensor, type TensorLocation } from '../io/safetensors.ts';
import type { AdaptedModule } from '../lora/adapter-config.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { listNames } from '../lora/formats/group-tensors.ts';
import { modulesOfAnyWidth } from '../lora/formats/infer-modules.ts';
import { sumOfSquares } from '../lora/matrix.ts';
import { addDelta, type LowRankDelta } from '../lora/module-delta.ts';
import { adapterOf, sharedFactors } from '../lora/resize-adapter.ts';
import { createTruncatedSvd } from '../lora/truncated-svd.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import { createRandom } from '../random.ts';
import type { TransformerWeights } from './transformer-weights.ts';

/** An adapter that was found between two models, and what it leaves out. */
export interface ExtractedAdapter {
  readonly adapter: Adapter;
  /** ||W' - W - B A|| / ||W' - W|| over all adapted layers (Frobenius). */
  readonly error: number;
  /** The same by block, first to last; what lies outside of the blocks is `other`. */
  readonly errors: ReadonlyMap<string, number>;
  /** Tensors that differ and that no adapter holds: biases, norms, tables, depth-wise convolutions. */
  readonly leftOut: readonly string[];
}

/** How an adapter is extracted. */
export interface ExtractOptions {
  readonly engine: Engine;
  readonly rank: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * The LoRA of a rank that brings a model nearest to another: the largest singular values of what they differ by, a layer
 * in memory at a time.
 * @throws UserError for models of other layers or shapes, or that do not differ
 */
export async function extractAdapter(
  base: TransformerWeights,
  tuned: TransformerWeights,
  { engine, rank, onProgress }: ExtractOptions,
): Promise<ExtractedAdapter> {
  if (!Number.isSafeInteger(rank) || rank < 1) {
    throw new UserError(`The rank to extract is ${rank}; use a whole number from 1.`);
  }
  checkSame(base, tuned);
  const layers = [...modulesOfAnyWidth(tuned.keys())].filter(([name]) => tuned.has(`${name}.weight`));
  const weights = new Set(layers.map(([name]) => `${name}.weight`));
  const leftOut: string[] = [];
  for (const [name, location] of tuned) {
    if (!weights.has(name) && (await difference(base.get(name), location)).some((x) => x !== 0)) leftOut.push(name);
  }
  const deltas = new Map<string, LowRankDelta>();
  const sums = new Map<string, { all: number; lost: number }>();
  const svd = await createTruncatedSvd(engine);
  try {
    for (const [i, [name, module]] of layers.entries()) {
      onProgress?.(i, layers.length);
      const location = tuned.get(`${name}.weight`);
      if (!location) continue;
      const data = await difference(base.get(`${name}.weight`), location);
      const all = sumOfSquares(data);
      if (!Number.isFinite(all))
        throw new UserError(`${name}.weight holds NaN or numbers too large; use other models.`);
      if (all === 0) continue;
      const [rows = 1] = location.shape;
      const columns = data.length / rows;
      const own = Math.min(rank, rows, columns);
      const found = await svd.decompose({ rows, columns, data }, own, createRandom(name));
      const delta = { module: layerOf(module, location, own), rank: own, ...sharedFactors(found, own) };
      deltas.set(name, delta);
      addDelta(data, { ...delta, b: delta.b.map((x) => -x) });
      const block = /^transformer_blocks\.(\d+)\./.exec(name)?.[1] ?? 'other';
      const before = sums.get(block) ?? { all: 0, lost: 0 };
      sums.set(block, { all: before.all + all, lost: before.lost + sumOfSquares(data) });
    }
    onProgress?.(layers.length, layers.length);
  } finally {
    await svd.dispose();
  }
  if (deltas.size === 0) {
    throw new UserError(
      `The models have the same weights in every layer that an adapter can change${leftOut.length > 0 ? `; they differ in ${listNames(leftOut)}` : ''}.`,
    );
  }
  const total = [...sums.values()].reduce((sum, { all, lost }) => ({ all: sum.all + all, lost: sum.lost + lost }));
  const order = (block: string): number => (block === 'other' ? Number.POSITIVE_INFINITY : Number(block));
  return {
    adapter: adapterOf(deltas),
    error: Math.sqrt(total.lost / total.all),
    errors: new Map(
      [...sums]
        .sort(([a], [b]) => order(a) - order(b))
        .map(([block, { all, lost }]) => [block === 'other' ? block : `block ${block}`, Math.sqrt(lost / all)]),
    ),
    leftOut,
  };
}

function checkSame(base: TransformerWeights, tuned: TransformerWeights): void {
  const missing = [...tuned.keys()].filter((name) => !base.has(name));
  const extra = [...base.keys()].filter((name) => !tuned.has(name));
  if (missing.length + extra.length > 0) {
    throw new UserError(
      `The models are not of one kind: ${missing.length > 0 ? `only the tuned one has ${listNames(missing)}` : `only the base has ${listNames(extra)}`}.`,
    );
  }
  for (const [name, { shape }] of tuned) {
    const other = base.get(name)?.shape ?? [];
    if (shape.join() === other.join()) continue;
    throw new UserError(
      `The models are not of one kind: ${name} is [${other.join(', ')}] in the base and [${shape.join(', ')}] in the tuned one.`,
    );
  }
}

/** W' - W in fp32. */
async function difference(base: TensorLocation | undefined, tuned: TensorLocation): Promise<Float32Array> {
  if (!base) throw new RangeError('extractAdapter: a tensor is missing');
  const before = toFloat32(await readTensor(base));
  return toFloat32(await readTensor(tuned)).map((x, i) => x - (before[i] ?? 0));
}

/** The layer by its weight's shape. */
function layerOf(
  { bias }: SanaModule,
  { shape: [outFeatures = 1, inFeatures = 1, kernel] }: TensorLocation,
  rank: number,
): AdaptedModule {
  const size = { inFeatures, outFeatures, bias, ...(kernel !== undefined && { kernel }) };
  return { ...size, rank, alpha: rank, scale: 1, dora: false, dropout: 0 };
}
