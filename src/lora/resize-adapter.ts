import { UserError } from '../errors.ts';
import { float32 } from '../graph/tensor.ts';
import type { Params } from '../optim/optimizer.ts';
import { type AdaptedModule, parameterName, parameterShapes } from './adapter-config.ts';
import type { Adapter } from './adapter-file.ts';
import { lowRankSvd } from './low-rank-svd.ts';
import { moduleDelta, type ModuleDelta } from './module-delta.ts';

/** An adapter of another rank, and what that cost. */
export interface ResizedAdapter {
  readonly adapter: { readonly modules: Adapter['modules']; readonly tensors: Params };
  /** ||B A - B' A'|| / ||B A|| over all layers (Frobenius). */
  readonly error: number;
}

/** A rank whose decomposition takes minutes a layer. */
const mostRank = 1024;

/** An adapter out of what each module gets added, the scale being in B. */
export function adapterOf(deltas: ReadonlyMap<string, ModuleDelta>): ResizedAdapter['adapter'] {
  const modules = new Map<string, AdaptedModule>();
  const tensors = new Map<string, ReturnType<typeof float32>>();
  for (const [name, { module, rank, a, b, magnitude }] of deltas) {
    const entry: AdaptedModule = { ...module, rank, alpha: rank, scale: 1, dora: magnitude !== undefined };
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

/**
 * The nearest adapter of at most `rank`: the largest singular values of each B A, shared between both factors.
 * Layers of a lower rank stay as they are.
 * @throws UserError for a rank that is no whole number from 1, or layers of a rank above 1024
 */
export function resizeAdapter(adapter: Adapter, rank: number): ResizedAdapter {
  if (!Number.isSafeInteger(rank) || rank < 1) {
    throw new UserError(`The rank to resize to is ${rank}; use a whole number from 1.`);
  }
  const deltas = new Map<string, ModuleDelta>();
  let [kept, lost] = [0, 0];
  for (const name of adapter.modules.keys()) {
    const delta = moduleDelta(adapter, name);
    const small = truncate(name, delta, rank);
    deltas.set(name, small.delta);
    kept += small.kept;
    lost += small.lost;
  }
  return { adapter: adapterOf(deltas), error: kept + lost > 0 ? Math.sqrt(lost / (kept + lost)) : 0 };
}

function truncate(
  name: string,
  delta: ModuleDelta,
  rank: number,
): { readonly delta: ModuleDelta; readonly kept: number; readonly lost: number } {
  const { a, b, rank: before } = delta;
  if (before > mostRank && before > rank) {
    throw new UserError(`${name} has rank ${before}; layers of up to ${mostRank} can be resized.`);
  }
  if (before <= rank) return { delta, kept: squaredNorm(delta), lost: 0 };
  const { values, left, right } = lowRankSvd(b, a, before);
  const [rows, columns] = [b.length / before, a.length / before];
  const newA = new Float32Array(rank * columns);
  const newB = new Float32Array(rows * rank);
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(values[k] ?? 0);
    for (let j = 0; j < columns; j++) newA[k * columns + j] = root * (right[k]?.[j] ?? 0);
    for (let i = 0; i < rows; i++) newB[i * rank + k] = root * (left[k]?.[i] ?? 0);
  }
  const squares = values.map((value) => value * value);
  const sum = (from: number, to: number): number => squares.subarray(from, to).reduce((total, x) => total + x, 0);
  return { delta: { ...delta, rank, a: newA, b: newB }, kept: sum(0, rank), lost: sum(rank, before) };
}

/** ||B A||^2 = sum over k, l of (B^T B)_kl (A A^T)_kl. */
export function squaredNorm({ a, b, rank }: Pick<ModuleDelta, 'a' | 'b' | 'rank'>): number {
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
