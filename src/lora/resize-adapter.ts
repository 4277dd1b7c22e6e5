import { UserError } from '../errors.ts';
import { float32, type Tensor } from '../graph/tensor.ts';
import { type AdaptedModule, parameterName, parameterShapes } from './adapter-config.ts';
import type { Adapter } from './adapter-file.ts';
import { lowRankSvd, type LowRankSvd } from './low-rank-svd.ts';
import type { Factors } from './matrix.ts';
import { type LowRankDelta, lowRankDelta, moduleDelta, type ModuleDelta, squaredNorm } from './module-delta.ts';

/** An adapter of another rank, and what that cost. */
export interface ResizedAdapter {
  readonly adapter: Adapter;
  /** ||B A - B' A'|| / ||B A|| over all layers (Frobenius). */
  readonly error: number;
}

/** A rank whose decomposition takes minutes a layer. */
const mostRank = 1024;
/** Numbers of an adapter that nobody would load: as many as a big model has. */
const mostNumbers = 5e8;

/** An adapter out of what each module gets added, the scale being in B. */
export function adapterOf(deltas: ReadonlyMap<string, LowRankDelta>): Adapter {
  const modules = new Map<string, AdaptedModule>();
  const tensors = new Map<string, Tensor>();
  for (const [name, { module, rank, a, b, magnitude }] of deltas) {
    const { lycoris: _, ...plain } = module;
    const entry: AdaptedModule = { ...plain, rank, alpha: rank, scale: 1, dora: magnitude !== undefined };
    modules.set(name, entry);
    const shapes = parameterShapes(name, entry);
    const values = { lora_A: a, lora_B: b, lora_magnitude_vector: magnitude };
    for (const part of ['lora_A', 'lora_B', 'lora_magnitude_vector'] as const) {
      const [shape, data] = [shapes.get(parameterName(name, part)), values[part]];
      if (shape && data) tensors.set(parameterName(name, part), float32(shape, data));
    }
  }
  return { modules, tensors };
}

/** Whether some of an adapter's layers are LoKr or LoHa. */
export function hasLycoris({ modules }: Pick<Adapter, 'modules'>): boolean {
  return [...modules.values()].some(({ lycoris }) => lycoris !== undefined);
}

/**
 * The LoRA that adds the same as an adapter with LoKr or LoHa in it, without an error: the rank is that of the products.
 * @throws UserError where that would be as large as a model
 */
export function asLora(adapter: Adapter): Adapter {
  if (!hasLycoris(adapter)) return adapter;
  const [numbers, rank] = loraSize(adapter);
  if (numbers > mostNumbers) {
    throw new UserError(
      `As a LoRA this adapter has ranks up to ${rank} and ${(numbers / 1e6).toFixed(0)} million numbers; resize it with --rank (export.rank), or write lycoris, kohya or merged.`,
    );
  }
  const modules = new Map<string, AdaptedModule>();
  const tensors = new Map<string, Tensor>();
  for (const [name, module] of adapter.modules) {
    // What is LoRA already keeps its scale and its numbers.
    const own = module.lycoris
      ? adapterOf(new Map([[name, lowRankDelta(moduleDelta(adapter, name))]]))
      : { modules: new Map([[name, module]]), tensors: adapter.tensors };
    modules.set(name, own.modules.get(name) ?? module);
    for (const key of parameterShapes(name, modules.get(name) ?? module).keys()) {
      const found = own.tensors.get(key);
      if (found) tensors.set(key, found);
    }
  }
  return { modules, tensors };
}

/** How many numbers the same adapter has as LoRA, and the highest rank. */
function loraSize({ modules }: Adapter): readonly [numbers: number, rank: number] {
  let [numbers, most] = [0, 0];
  for (const { inFeatures, outFeatures, kernel = 1, rank, lycoris } of modules.values()) {
    const [rows, columns] = [outFeatures, inFeatures * kernel ** 2];
    let own = rank;
    if (lycoris?.kind === 'lokr') {
      const { one, two } = lycoris;
      const rankOf = ({ rows: m, columns: n, rank: low }: typeof one): number => Math.min(m, n, low ?? m);
      own = rankOf(one) * rankOf(two);
    } else if (lycoris) own = Math.min(lycoris.rank ** 2, rows, columns);
    numbers += own * (rows + columns);
    most = Math.max(most, own);
  }
  return [numbers, most];
}

/**
 * The nearest adapter of at most `rank`: the largest singular values of each product, shared between both factors.
 * Layers of a lower rank stay as they are.
 * @throws UserError for a rank that is no whole number from 1, or layers of a rank above 1024
 */
export function resizeAdapter(adapter: Adapter, rank: number): ResizedAdapter {
  if (!Number.isSafeInteger(rank) || rank < 1) {
    throw new UserError(`The rank to resize to is ${rank}; use a whole number from 1.`);
  }
  const deltas = new Map<string, LowRankDelta>();
  let [all, lost] = [0, 0];
  for (const name of adapter.modules.keys()) {
    const delta = moduleDelta(adapter, name);
    const small = truncate(name, delta, rank);
    deltas.set(name, small.delta);
    all += small.all;
    lost += small.lost;
  }
  return { adapter: adapterOf(deltas), error: all > 0 ? Math.sqrt(lost / all) : 0 };
}

function truncate(
  name: string,
  delta: ModuleDelta,
  rank: number,
): { readonly delta: LowRankDelta; readonly all: number; readonly lost: number } {
  const before = 'a' in delta ? delta.rank : delta.one.p.columns * delta.two.p.columns;
  if (before <= rank) return { delta: lowRankDelta(delta), all: squaredNorm(delta), lost: 0 };
  const { values, left, right } = 'a' in delta ? lowRank(name, delta) : kroneckerSvd(name, delta.one, delta.two, rank);
  const { module, magnitude } = delta;
  const { a, b } = sharedFactors({ values, left, right }, rank);
  const squares = values.map((value) => value * value);
  const sum = (from: number, to?: number): number => squares.subarray(from, to).reduce((total, x) => total + x, 0);
  const all = 'a' in delta ? sum(0) : squaredNorm(delta);
  return {
    delta: { module, rank, a, b, ...(magnitude && { magnitude }) },
    all,
    lost: 'a' in delta ? sum(rank) : Math.max(0, all - sum(0, rank)),
  };
}

/** A and B whose product has the largest singular values, their roots shared between both. */
export function sharedFactors({ values, left, right }: LowRankSvd, rank: number): Pick<LowRankDelta, 'a' | 'b'> {
  const [rows, columns] = [left[0]?.length ?? 0, right[0]?.length ?? 0];
  const a = new Float32Array(rank * columns);
  const b = new Float32Array(rows * rank);
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(values[k] ?? 0);
    for (let j = 0; j < columns; j++) a[k * columns + j] = root * (right[k]?.[j] ?? 0);
    for (let i = 0; i < rows; i++) b[i * rank + k] = root * (left[k]?.[i] ?? 0);
  }
  return { a, b };
}

function lowRank(name: string, { a, b, rank }: Pick<LowRankDelta, 'a' | 'b' | 'rank'>): LowRankSvd {
  if (rank > mostRank) throw new UserError(`${name} has rank ${rank}; layers of up to ${mostRank} can be resized.`);
  return lowRankSvd(b, a, rank);
}

/** The largest `rank` of a Kronecker product's: singular values are products of both's, and vectors Kronecker products. */
function kroneckerSvd(name: string, one: Factors, two: Factors, rank: number): LowRankSvd {
  const svd = ({ p, q }: Factors): LowRankSvd => lowRank(name, { a: q.data, b: p.data, rank: p.columns });
  const [first, second] = [svd(one), svd(two)];
  const pairs = [...first.values].flatMap((x, i) => [...second.values].map((y, j) => ({ i, j, value: x * y })));
  const largest = pairs.sort((x, y) => y.value - x.value).slice(0, rank);
  const combine = (x: Float64Array | undefined, y: Float64Array | undefined): Float64Array =>
    Float64Array.from({ length: (x?.length ?? 0) * (y?.length ?? 0) }, (_, at) => {
      const width = y?.length ?? 1;
      return (x?.[Math.floor(at / width)] ?? 0) * (y?.[at % width] ?? 0);
    });
  return {
    values: Float64Array.from(largest, ({ value }) => value),
    left: largest.map(({ i, j }) => combine(first.left[i], second.left[j])),
    right: largest.map(({ i, j }) => combine(first.right[i], second.right[j])),
  };
}
