import { UserError } from '../errors.ts';
import { toFloat32 } from '../graph/tensor.ts';
import { type AdaptedModule, parameterName } from './adapter-config.ts';
import type { Adapter } from './adapter-file.ts';

/** What an adapter does to one weight W [out, in]: W + B A, and with magnitudes m (W + B A) / ||W + B A|| by rows. */
export interface ModuleDelta {
  readonly module: AdaptedModule;
  readonly rank: number;
  /** [rank, in], a convolution's kernel being part of in */
  readonly a: Float32Array;
  /** [out, rank], the scale multiplied in */
  readonly b: Float32Array;
  /** [out] */
  readonly magnitude?: Float32Array;
}

/** What an adapter does to a module that it has. */
export function moduleDelta({ modules, tensors }: Adapter, name: string): ModuleDelta {
  const module = modules.get(name);
  const values = (part: Parameters<typeof parameterName>[1]): Float32Array | undefined => {
    const found = tensors.get(parameterName(name, part));
    return found && toFloat32(found);
  };
  const [a, b, magnitude] = [values('lora_A'), values('lora_B'), values('lora_magnitude_vector')];
  if (!module || !a || !b) throw new RangeError(`moduleDelta: the adapter has no ${name}`);
  const scaled = module.scale === 1 ? b : b.map((x) => x * module.scale);
  if (!scaled.every(Number.isFinite)) {
    throw new UserError(
      `The scale ${module.scale} makes infinite numbers of the adapter's ${name}; use a smaller one.`,
    );
  }
  return { module, rank: module.rank, a, b: scaled, ...(module.dora && magnitude && { magnitude }) };
}

/** Adds B A to a weight in place. @param weight [out, in] row by row */
export function addDelta(weight: Float32Array, { a, b, rank }: Pick<ModuleDelta, 'a' | 'b' | 'rank'>): void {
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

/** The lengths of a weight's rows. @param weight [rows, in] */
export function rowNorms(weight: Float32Array, rows: number): Float32Array {
  const width = weight.length / rows;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (const value of weight.subarray(row * width, (row + 1) * width)) sum += value * value;
    return Math.sqrt(sum);
  });
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
