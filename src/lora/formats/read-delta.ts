import { UserError } from '../../errors.ts';
import { type DType, elementCount, toFloat32 } from '../../graph/tensor.ts';
import { quoted } from '../../io/json.ts';
import { readTensor, type TensorLocation } from '../../io/safetensors.ts';
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

/** The size of a weight as a matrix: a convolution's kernel belongs to the columns. */
export interface MatrixSize {
  readonly rows: number;
  readonly columns: number;
}

const floating: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];

/** A tensor of an entry as a matrix. */
interface Matrix extends MatrixSize {
  readonly data: Float32Array;
}

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
 * Reads what a file adds to one layer.
 * @param size of the layer's weight in the model
 * @param scaleOf what B A is multiplied by where the file has no alpha for the layer, by the rank
 * @throws UserError naming a tensor that is missing, of another model, of no floating dtype or not finite
 */
export async function readDelta(
  path: string,
  { name, tensors }: Entry,
  size: MatrixSize,
  scaleOf: (rank: number) => number,
): Promise<Delta> {
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

  /** The factors of a pair of tensors, or of one whole tensor and the unit matrix. */
  const factors = async (whole: Part, left: Part, right: Part): Promise<Factors & { readonly isWhole: boolean }> => {
    if (tensors.has(whole)) return { ...split(await matrix(whole)), isWhole: true };
    const [p, q] = [await matrix(left), await matrix(right)];
    if (p.columns !== q.rows) throw fail(right);
    // More than the smaller side is no rank.
    const least = Math.min(p.rows, q.columns);
    if (p.columns > least)
      return { ...split({ rows: p.rows, columns: q.columns, data: product(p, q) }), inner: p.columns, isWhole: false };
    return { p, q, inner: p.columns, isWhole: false };
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
  } else if (kind === 'lokr') {
    const one = await factors('lokr_w1', 'lokr_w1_a', 'lokr_w1_b');
    const two = await factors('lokr_w2', 'lokr_w2_a', 'lokr_w2_b');
    const [rows, columns] = [one.p.rows * two.p.rows, one.q.columns * two.q.columns];
    if (rows !== size.rows || columns !== size.columns) throw fail(tensors.has('lokr_w2') ? 'lokr_w2' : 'lokr_w2_a');
    // LyCORIS, modules/lokr.py: where neither is factored there is no rank, and alpha says nothing.
    const rank = two.isWhole ? one.inner : two.inner;
    const scale = one.isWhole && two.isWhole ? 1 : await known(rank);
    // (P Q) x (U V) = (P x U) (Q x V): the Kronecker product of low ranks is of low rank.
    const [b, a] = [kronecker(one.p, two.p), kronecker(one.q, two.q)];
    delta = { kind, rank: a.rows, a: a.data, b: b.data, scale };
  } else {
    const [p, q] = [await matrix('hada_w1_a'), await matrix('hada_w1_b')];
    const [u, v] = [await matrix('hada_w2_a'), await matrix('hada_w2_b')];
    if (p.rows !== size.rows || u.rows !== size.rows) throw fail(p.rows === size.rows ? 'hada_w2_a' : 'hada_w1_a');
    if (q.columns !== size.columns || p.columns !== q.rows) throw fail('hada_w1_b');
    if (v.columns !== size.columns || u.columns !== v.rows) throw fail('hada_w2_b');
    if (Math.max(q.rows, v.rows) > Math.max(size.rows, size.columns)) throw fail('hada_w1_b');
    const scale = await known(q.rows);
    delta = { kind, ...hadamard([p, q], [u, v]), scale };
  }
  if (!Number.isFinite(delta.scale) || !delta.a.every(Number.isFinite) || !delta.b.every(Number.isFinite)) {
    throw new UserError(`${path}: ${quoted(name)} holds numbers too large to multiply.`);
  }
  const magnitude = await readMagnitude();
  return magnitude ? { ...delta, magnitude } : delta;

  async function readMagnitude(): Promise<Float32Array | undefined> {
    const peft = tensors.get('magnitude');
    const lycoris = tensors.get('dora_scale');
    if (!peft && !lycoris) return undefined;
    const part = peft ? 'magnitude' : 'dora_scale';
    const data = await values(part);
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

/** A matrix as P Q. */
interface Factors {
  readonly p: Matrix;
  readonly q: Matrix;
  /** The rank as the file has it. */
  readonly inner: number;
}

/** A whole matrix as itself and the unit matrix of its smaller side. */
function split(matrix: Matrix): Factors {
  const { rows, columns } = matrix;
  const inner = Math.min(rows, columns);
  return rows < columns ? { p: unit(inner), q: matrix, inner } : { p: matrix, q: unit(inner), inner };
}

function unit(side: number): Matrix {
  const data = new Float32Array(side * side);
  for (let i = 0; i < side; i++) data[i * side + i] = 1;
  return { rows: side, columns: side, data };
}

function product(p: Matrix, q: Matrix): Float32Array {
  const out = new Float32Array(p.rows * q.columns);
  for (let i = 0; i < p.rows; i++) {
    for (let k = 0; k < p.columns; k++) {
      const factor = p.data[i * p.columns + k] ?? 0;
      for (let j = 0; j < q.columns; j++) {
        const at = i * q.columns + j;
        out[at] = (out[at] ?? 0) + factor * (q.data[k * q.columns + j] ?? 0);
      }
    }
  }
  return out;
}

/** [m, n] and [p, q] -> [m p, n q] */
function kronecker(x: Matrix, y: Matrix): Matrix {
  const [rows, columns] = [x.rows * y.rows, x.columns * y.columns];
  const data = new Float32Array(rows * columns);
  let at = 0;
  for (let i = 0; i < x.rows; i++) {
    for (let k = 0; k < y.rows; k++) {
      for (let j = 0; j < x.columns; j++) {
        const factor = x.data[i * x.columns + j] ?? 0;
        for (let l = 0; l < y.columns; l++) data[at++] = factor * (y.data[k * y.columns + l] ?? 0);
      }
    }
  }
  return { rows, columns, data };
}

/**
 * (P Q) * (U V), element by element, as one product: each row of B is the Kronecker product of a row of P and one of U,
 * each column of A that of a column of Q and one of V. Where that rank is no lower than the matrix, the matrix itself.
 */
function hadamard(
  [p, q]: readonly [Matrix, Matrix],
  [u, v]: readonly [Matrix, Matrix],
): Pick<Delta, 'rank' | 'a' | 'b'> {
  const [rows, columns] = [p.rows, q.columns];
  const rank = p.columns * u.columns;
  if (rank >= Math.min(rows, columns)) {
    const [first, second] = [product(p, q), product(u, v)];
    const whole = split({ rows, columns, data: first.map((x, i) => x * (second[i] ?? 0)) });
    return { rank: whole.inner, a: whole.q.data, b: whole.p.data };
  }
  const b = new Float32Array(rows * rank);
  const a = new Float32Array(rank * columns);
  for (let s = 0; s < p.columns; s++) {
    for (let t = 0; t < u.columns; t++) {
      const k = s * u.columns + t;
      for (let i = 0; i < rows; i++) {
        b[i * rank + k] = (p.data[i * p.columns + s] ?? 0) * (u.data[i * u.columns + t] ?? 0);
      }
      for (let j = 0; j < columns; j++) {
        a[k * columns + j] = (q.data[s * columns + j] ?? 0) * (v.data[t * columns + j] ?? 0);
      }
    }
  }
  return { rank, a, b };
}
