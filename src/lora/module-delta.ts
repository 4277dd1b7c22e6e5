import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { type AdaptedModule, type AdapterPart, parameterName } from './adapter-config.ts';
import type { Adapter } from './adapter-file.ts';
import type { Loha, Lokr } from './lycoris.ts';
import {
  type Factors,
  hadamardFactors,
  kroneckerFactors,
  type Matrix,
  product,
  sumOfSquares,
  wholeFactors,
} from './matrix.ts';

interface Delta {
  readonly module: AdaptedModule;
  /** [out] */
  readonly magnitude?: Float32Array;
}

/** What LoRA and DoRA do to one weight W [out, in]: W + B A, and with magnitudes m (W + B A) / ||W + B A|| by rows. */
export interface LowRankDelta extends Delta {
  readonly rank: number;
  /** [rank, in], a convolution's kernel being part of in */
  readonly a: Float32Array;
  /** [out, rank], the scale multiplied in */
  readonly b: Float32Array;
}

/** What LoKr does to one weight: W + one x two. */
export interface KroneckerDelta extends Delta {
  /** The scale is multiplied in. */
  readonly one: Factors;
  readonly two: Factors;
}

/** What an adapter does to one weight. */
export type ModuleDelta = LowRankDelta | KroneckerDelta;

/** What an adapter does to a module that it has, in the form that takes the least. */
export function moduleDelta(adapter: Adapter, name: string): ModuleDelta {
  const module = adapter.modules.get(name);
  const take = (part: AdapterPart): Float32Array | undefined => {
    const found = adapter.tensors.get(parameterName(name, part));
    return found && toFloat32(found);
  };
  const scaled = (values: Float32Array | undefined): Float32Array => {
    if (!module || !values) throw new RangeError(`moduleDelta: the adapter has no ${name}`);
    const result = module.scale === 1 ? values : values.map((x) => x * module.scale);
    if (result.every(Number.isFinite)) return result;
    throw new UserError(
      `The scale ${module.scale} makes infinite numbers of the adapter's ${name}; use a smaller one.`,
    );
  };
  if (module?.lycoris?.kind === 'lokr') return lokrDelta(module, module.lycoris, take, scaled);
  if (module?.lycoris) return lohaDelta(module, module.lycoris, take, scaled);
  const [a, b, magnitude] = [take('lora_A'), scaled(take('lora_B')), take('lora_magnitude_vector')];
  if (!module || !a) throw new RangeError(`moduleDelta: the adapter has no ${name}`);
  return { module, rank: module.rank, a, b, ...(module.dora && magnitude && { magnitude }) };
}

type Take = (part: AdapterPart) => Float32Array | undefined;
type Scale = (values: Float32Array | undefined) => Float32Array;

function matrix(rows: number, columns: number, data: Float32Array | undefined): Matrix {
  if (data?.length !== rows * columns) {
    throw new RangeError(`moduleDelta: a tensor of [${rows}, ${columns}] expected, got ${data?.length ?? 'none'}`);
  }
  return { rows, columns, data };
}

function lokrDelta(module: AdaptedModule, { one, two }: Lokr, take: Take, scaled: Scale): KroneckerDelta {
  const factors = (w: 'w1' | 'w2', own: Scale | ((values: Float32Array | undefined) => Float32Array | undefined)) => {
    const { rows, columns, rank } = w === 'w1' ? one : two;
    if (rank === null) return wholeFactors(matrix(rows, columns, own(take(`lokr_${w}`))));
    const p = matrix(rows, rank, own(take(`lokr_${w}_a`)));
    const q = matrix(rank, columns, take(`lokr_${w}_b`));
    // More than the smaller side is no rank.
    return rank > Math.min(rows, columns) ? wholeFactors(product({ p, q })) : { p, q };
  };
  return { module, one: factors('w1', scaled), two: factors('w2', (values) => values) };
}

function lohaDelta(module: AdaptedModule, { rank }: Loha, take: Take, scaled: Scale): LowRankDelta {
  const [rows, columns] = [module.outFeatures, module.inFeatures * (module.kernel ?? 1) ** 2];
  const { p, q } = hadamardFactors(
    {
      p: matrix(rows, rank, scaled(take('hada_w1_a'))),
      q: matrix(rank, columns, take('hada_w1_b')),
    },
    { p: matrix(rows, rank, take('hada_w2_a')), q: matrix(rank, columns, take('hada_w2_b')) },
  );
  return { module, rank: p.columns, a: q.data, b: p.data };
}

/** The same change as B A, whose rank is that of the product: up to the whole of a layer's. */
export function lowRankDelta(delta: ModuleDelta): LowRankDelta {
  if ('a' in delta) return delta;
  const { module, one, two } = delta;
  const { p, q } = kroneckerFactors(one, two);
  return { module, rank: p.columns, a: q.data, b: p.data };
}

/** Adds what is added to a weight in place. @param weight [out, in] row by row */
export function addDelta(weight: Float32Array, delta: ModuleDelta): void {
  if (!('a' in delta)) {
    addKronecker(weight, product(delta.one), product(delta.two));
    return;
  }
  const { a, b, rank } = delta;
  const width = a.length / rank;
  const rows = b.length / rank;
  for (let row = 0; row < rows; row++) {
    const out = weight.subarray(row * width, (row + 1) * width);
    for (let k = 0; k < rank; k++) {
      const factor = b[row * rank + k] ?? 0;
      if (factor === 0) continue;
      const source = a.subarray(k * width, (k + 1) * width);
      for (let i = 0; i < width; i++) out[i] = (out[i] ?? 0) + factor * (source[i] ?? 0);
    }
  }
}

function addKronecker(weight: Float32Array, one: Matrix, two: Matrix): void {
  let at = 0;
  for (let i = 0; i < one.rows; i++) {
    for (let k = 0; k < two.rows; k++) {
      for (let j = 0; j < one.columns; j++) {
        const factor = one.data[i * one.columns + j] ?? 0;
        for (let l = 0; l < two.columns; l++, at++) {
          weight[at] = (weight[at] ?? 0) + factor * (two.data[k * two.columns + l] ?? 0);
        }
      }
    }
  }
}

/** How many inputs the weight has that is changed. */
export function inputsOf(delta: ModuleDelta): number {
  return 'a' in delta ? delta.a.length / delta.rank : delta.one.q.columns * delta.two.q.columns;
}

/** What a change makes of a vector. @param x [in] */
export function applyDelta(delta: ModuleDelta, x: Float32Array): Float64Array {
  if ('a' in delta) {
    const { a, b, rank } = delta;
    return times(b, times(a, x, rank), b.length / rank);
  }
  const [one, two] = [product(delta.one), product(delta.two)];
  const out = new Float64Array(one.rows * two.rows);
  for (let j = 0; j < one.columns; j++) {
    const within = times(two.data, x.subarray(j * two.columns, (j + 1) * two.columns), two.rows);
    for (let i = 0; i < one.rows; i++) {
      const factor = one.data[i * one.columns + j] ?? 0;
      for (let k = 0; k < two.rows; k++) {
        const at = i * two.rows + k;
        out[at] = (out[at] ?? 0) + factor * (within[k] ?? 0);
      }
    }
  }
  return out;
}

function times(m: Float32Array, x: Float32Array | Float64Array, rows: number): Float64Array {
  const width = m.length / rows;
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += (m[row * width + i] ?? 0) * (x[i] ?? 0);
    return sum;
  });
}

/** ||B A||^2 = sum over k, l of (B^T B)_kl (A A^T)_kl, and ||one x two||^2 = ||one||^2 ||two||^2. */
export function squaredNorm(delta: ModuleDelta): number {
  if (!('a' in delta)) return sumOfSquares(product(delta.one).data) * sumOfSquares(product(delta.two).data);
  const { a, b, rank } = delta;
  const [rows, columns] = [b.length / rank, a.length / rank];
  let total = 0;
  for (let k = 0; k < rank; k++) {
    for (let l = k; l < rank; l++) {
      let [inA, inB] = [0, 0];
      for (let j = 0; j < columns; j++) inA += (a[k * columns + j] ?? 0) * (a[l * columns + j] ?? 0);
      for (let i = 0; i < rows; i++) inB += (b[i * rank + k] ?? 0) * (b[i * rank + l] ?? 0);
      total += (k === l ? 1 : 2) * inA * inB;
    }
  }
  return Math.max(0, total);
}

/** The lengths of a weight's rows. @param weight [rows, in] */
export function rowNorms(weight: Float32Array, rows: number): Float32Array {
  const width = weight.length / rows;
  return Float32Array.from({ length: rows }, (_, row) =>
    Math.sqrt(sumOfSquares(weight.subarray(row * width, (row + 1) * width))),
  );
}

/** W with an adapter in it, computed in fp32. @param weight [out, in]; it is changed and returned */
export function mergeDelta(weight: Float32Array, delta: ModuleDelta): Float32Array {
  addDelta(weight, delta);
  const { magnitude } = delta;
  if (!magnitude) return weight;
  const norms = rowNorms(weight, magnitude.length);
  const width = weight.length / magnitude.length;
  for (let i = 0; i < weight.length; i++) {
    const row = Math.floor(i / width);
    weight[i] = ((weight[i] ?? 0) * (magnitude[row] ?? 0)) / (norms[row] ?? 1);
  }
  return weight;
}
