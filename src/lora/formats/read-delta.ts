import { UserError } from '../../errors.ts';
import { type DType, elementCount, toFloat32 } from '../../graph/tensor.ts';
import { quoted } from '../../io/json.ts';
import { readTensor, type TensorLocation } from '../../io/safetensors.ts';
import { isUnscaled, type Loha, type Lokr, type LokrFactor, type LycorisPart } from '../lycoris.ts';
import { type Factors, hadamardFactors, kroneckerFactors, type Matrix, product, wholeFactors } from '../matrix.ts';
import type { Entry, Part } from './group-tensors.ts';

/** What an adapter adds to a weight W [out, in]: scale * B A, and DoRA's magnitudes of the rows. */
export interface Delta {
  readonly kind: 'lora' | 'lokr' | 'loha';
  readonly rank: number;
  /** [rank, in] */
  readonly a: Float32Array;
  /** [out, rank] */
  readonly b: Float32Array;
  readonly scale: number;
  /** [out] */
  readonly magnitude?: Float32Array;
}

/** A LoKr or LoHa as the file has it, where it is for one layer and has no magnitudes. */
export interface LycorisDelta {
  readonly kind: 'lokr' | 'loha';
  readonly lycoris: Lokr | Loha;
  readonly rank: number;
  readonly scale: number;
  readonly parts: ReadonlyMap<LycorisPart, Float32Array>;
}

/** The size of a weight as a matrix: a convolution's kernel belongs to the columns. */
export interface MatrixSize {
  readonly rows: number;
  readonly columns: number;
}

const floating: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** Rows and columns of a tensor, its first axis being the rows. */
function sizeOf({ shape }: TensorLocation): MatrixSize {
  const [rows = 1, ...rest] = shape;
  return { rows, columns: elementCount(rest) };
}

/** Rows and columns of the weight that an entry's tensors are for, or undefined where they do not say. */
export function weightSize({ tensors }: Pick<Entry, 'tensors'>): MatrixSize | undefined {
  const size = (part: Part): MatrixSize | undefined => {
    const found = tensors.get(part);
    return found && sizeOf(found);
  };
  const pair = (left: Part, right: Part, whole?: Part): MatrixSize | undefined => {
    const full = whole === undefined ? undefined : size(whole);
    if (full) return full;
    const [first, second] = [size(left), size(right)];
    return first && second && { rows: first.rows, columns: second.columns };
  };
  const one = pair('lokr_w1_a', 'lokr_w1_b', 'lokr_w1');
  const two = pair('lokr_w2_a', 'lokr_w2_b', 'lokr_w2');
  if (one && two) return { rows: one.rows * two.rows, columns: one.columns * two.columns };
  return pair('b', 'a') ?? pair('hada_w1_a', 'hada_w1_b');
}

/**
 * Reads what a file adds to one layer: LoKr and LoHa as they are where they are for one layer, else as LoRA.
 * @param size of the layer's weight in the model
 * @param scaleOf what B A is multiplied by where the file has no alpha for the layer, by the rank
 * @param magnitudes the layer's, where the file's dora_scale is another number
 * @throws UserError naming a tensor that is missing, of another model, of no floating dtype or not finite
 */
export async function readDelta(
  path: string,
  { name, place, tensors }: Entry,
  size: MatrixSize,
  scaleOf: (rank: number) => number,
  magnitudes?: Float32Array,
): Promise<Delta | LycorisDelta> {
  const label = (part: Part): string => `${quoted(name)} (${part})`;
  const other = (part: Part, { shape }: TensorLocation): UserError =>
    new UserError(
      `${path}: ${label(part)} has shape [${shape.slice(0, 8).join(', ')}], which does not fit a layer of ${size.columns} inputs and ${size.rows} outputs; the adapter is of another model.`,
    );
  const values = async (part: Part): Promise<Float32Array> => {
    const location = tensors.get(part);
    if (!location) throw new UserError(`${path}: ${label(part)} is missing; the file is not whole.`);
    if (!floating.includes(location.dtype)) {
      throw new UserError(`${path}: ${label(part)} is ${location.dtype}; ${floating.join(', ')} are read.`);
    }
    const data = toFloat32(await readTensor(location));
    if (!data.every(Number.isFinite)) throw new UserError(`${path}: ${label(part)} holds NaN or infinity.`);
    return data;
  };
  const matrix = async (part: Part): Promise<Matrix> => {
    const location = tensors.get(part);
    const data = await values(part);
    const { rows, columns } = location ? sizeOf(location) : { rows: 0, columns: 0 };
    if (rows < 1 || columns < 1) throw new UserError(`${path}: ${label(part)} is empty; the file is not whole.`);
    return { rows, columns, data };
  };
  const fail = (part: Part): UserError => {
    const location = tensors.get(part);
    return location ? other(part, location) : new UserError(`${path}: ${label(part)} is missing.`);
  };
  const known = async (rank: number): Promise<number> => {
    if (!tensors.has('alpha')) return scaleOf(rank);
    const [alpha = Number.NaN, ...rest] = await values('alpha');
    if (rest.length > 0 || Number.isNaN(alpha)) {
      throw new UserError(`${path}: ${label('alpha')} is not a single number.`);
    }
    return alpha / rank;
  };

  /** A pair of tensors whose product is meant, or one whole tensor. */
  const factor = async (whole: Part, left: Part, right: Part): Promise<Factor> => {
    if (tensors.has(whole)) {
      const { rows, columns, data } = await matrix(whole);
      return { rows, columns, rank: null, whole: data };
    }
    const [p, q] = [await matrix(left), await matrix(right)];
    if (p.columns !== q.rows) throw fail(right);
    return { rows: p.rows, columns: q.columns, rank: p.columns, pair: { p, q } };
  };

  const kinds = new Set([...tensors.keys()].map(kindOf).filter((kind) => kind !== undefined));
  if (kinds.size !== 1) {
    throw new UserError(
      `${path}: ${quoted(name)} ${kinds.size === 0 ? 'has no weights' : 'mixes kinds of adapters'}; the file is not whole.`,
    );
  }
  const [kind = 'lora'] = kinds;
  // Before anything is multiplied: sizes that fit the model's also bound the work.
  const found = weightSize({ tensors });
  if (found && (found.rows !== size.rows || found.columns !== size.columns)) {
    throw fail([...tensors.keys()].findLast((part) => kindOf(part) !== undefined) ?? 'a');
  }
  let delta: Delta;
  if (kind === 'lora') {
    const [a, b] = [await matrix('a'), await matrix('b')];
    if (a.columns !== size.columns) throw fail('a');
    if (b.rows !== size.rows || b.columns !== a.rows) throw fail('b');
    delta = { kind, rank: a.rows, a: a.data, b: b.data, scale: await known(a.rows) };
  } else {
    const product = kind === 'lokr' ? await readLokr() : await readLoha();
    // A layer that stacks several is taken apart by its rows, and one with magnitudes is scaled by them: both as LoRA.
    if (place.parts.length === 1 && !tensors.has('dora_scale') && !tensors.has('magnitude')) {
      if (Number.isFinite(product.kept.scale)) return product.kept;
      throw new UserError(`${path}: ${quoted(name)} holds numbers too large to multiply.`);
    }
    const { p, q } = product.lowRank();
    delta = { kind, rank: p.columns, a: q.data, b: p.data, scale: product.kept.scale };
  }
  if (!Number.isFinite(delta.scale) || !delta.a.every(Number.isFinite) || !delta.b.every(Number.isFinite)) {
    throw new UserError(`${path}: ${quoted(name)} holds numbers too large to multiply.`);
  }
  const magnitude = await readMagnitude();
  return magnitude ? { ...delta, magnitude } : delta;

  async function readLokr(): Promise<LycorisProduct> {
    const one = await factor('lokr_w1', 'lokr_w1_a', 'lokr_w1_b');
    const two = await factor('lokr_w2', 'lokr_w2_a', 'lokr_w2_b');
    if (one.rows * two.rows !== size.rows || one.columns * two.columns !== size.columns) {
      throw fail(tensors.has('lokr_w2') ? 'lokr_w2' : 'lokr_w2_a');
    }
    const lycoris: Lokr = { kind: 'lokr', one: sizesOf(one), two: sizesOf(two) };
    // LyCORIS, modules/lokr.py: where neither is factored there is no rank, and alpha says nothing.
    const rank = two.rank ?? one.rank ?? 1;
    const scale = isUnscaled(lycoris) ? 1 : await known(rank);
    const parts = new Map([...partsOf('w1', one), ...partsOf('w2', two)]);
    return {
      kept: { kind: 'lokr', lycoris, rank, scale, parts },
      lowRank: () => kroneckerFactors(factorsOf(one), factorsOf(two)),
    };
  }

  async function readLoha(): Promise<LycorisProduct> {
    const [p, q] = [await matrix('hada_w1_a'), await matrix('hada_w1_b')];
    const [u, v] = [await matrix('hada_w2_a'), await matrix('hada_w2_b')];
    if (p.rows !== size.rows || u.rows !== size.rows) throw fail(p.rows === size.rows ? 'hada_w2_a' : 'hada_w1_a');
    const rank = q.rows;
    if (q.columns !== size.columns || p.columns !== rank) throw fail('hada_w1_b');
    if (v.columns !== size.columns || u.columns !== rank || v.rows !== rank) throw fail('hada_w2_b');
    const parts = new Map<LycorisPart, Float32Array>([
      ['hada_w1_a', p.data],
      ['hada_w1_b', q.data],
      ['hada_w2_a', u.data],
      ['hada_w2_b', v.data],
    ]);
    return {
      kept: { kind: 'loha', lycoris: { kind: 'loha', rank }, rank, scale: await known(rank), parts },
      lowRank: () => hadamardFactors({ p, q }, { p: u, q: v }),
    };
  }

  async function readMagnitude(): Promise<Float32Array | undefined> {
    const peft = tensors.get('magnitude');
    const lycoris = tensors.get('dora_scale');
    if (!peft && !lycoris) return undefined;
    const part = peft ? 'magnitude' : 'dora_scale';
    const data = lycoris && magnitudes ? magnitudes : await values(part);
    // LyCORIS and OneTrainer can also learn the lengths of columns, which is another adapter: comfy/weight_adapter/base.py.
    if (lycoris && lycoris.shape[0] !== size.rows && data.length === size.columns) {
      throw new UserError(
        `${path}: ${label(part)} holds lengths of columns (DoRA not on the output axis), which cannot be computed here; merge the adapter where it was trained.`,
      );
    }
    if (data.length !== size.rows) throw fail(part);
    return data;
  }
}

function kindOf(part: Part): Delta['kind'] | undefined {
  if (part === 'a' || part === 'b') return 'lora';
  if (part.startsWith('lokr_')) return 'lokr';
  return part.startsWith('hada_') ? 'loha' : undefined;
}

/** What LyCORIS multiplies, as it is and as LoRA. */
interface LycorisProduct {
  readonly kept: LycorisDelta;
  readonly lowRank: () => Factors;
}

/** One of the two matrices of a LoKr, as the file has it. */
type Factor = LokrFactor & ({ readonly rank: null; readonly whole: Float32Array } | { readonly pair: Factors });

function sizesOf({ rows, columns, rank }: Factor): LokrFactor {
  return { rows, columns, rank };
}

function factorsOf(factor: Factor): Factors {
  const { rows, columns } = factor;
  if ('whole' in factor) return wholeFactors({ rows, columns, data: factor.whole });
  const { pair } = factor;
  // More than the smaller side is no rank.
  return pair.p.columns > Math.min(rows, columns) ? wholeFactors(product(pair)) : pair;
}

function partsOf(w: 'w1' | 'w2', factor: Factor): readonly (readonly [LycorisPart, Float32Array])[] {
  if ('whole' in factor) return [[`lokr_${w}`, factor.whole]];
  return [
    [`lokr_${w}_a`, factor.pair.p.data],
    [`lokr_${w}_b`, factor.pair.q.data],
  ];
}
