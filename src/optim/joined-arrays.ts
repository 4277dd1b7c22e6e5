import { elementCount, float32 } from '../graph/tensor.ts';
import type { Float32Tensor, Params } from './optimizer.ts';

/** Tensors of zeros, one after the other in one piece of memory. */
export function joinedZeros<K>(shapes: Iterable<readonly [K, readonly number[]]>): Map<K, Float32Tensor> {
  const entries = [...shapes];
  const all = new Float32Array(entries.reduce((sum, [, shape]) => sum + elementCount(shape), 0));
  let at = 0;
  return new Map(
    entries.map(([key, shape]) => [key, float32(shape, all.subarray(at, (at += elementCount(shape))))] as const),
  );
}

/** A copy of the parameters, one after the other in one piece of memory. */
export function joinedCopy(params: Params): Params {
  const copy = joinedZeros([...params].map(([name, { shape }]) => [name, shape] as const));
  for (const [name, { data }] of copy) data.set(params.get(name)?.data ?? []);
  return copy;
}

/**
 * The arrays of every parameter, those that follow each other in memory as one: a loop over an adapter's hundreds of
 * small tensors without what each costs beside its elements.
 *
 * @param arraysOf all arrays of a parameter, of one length
 * @returns lists as `arraysOf` gives them
 */
export function joinedArrays<T extends readonly Float32Array[]>(
  params: Params,
  arraysOf: (name: string, data: Float32Array) => T,
): readonly T[] {
  const runs: { readonly first: T; length: number }[] = [];
  for (const [name, { data }] of params) {
    const arrays = arraysOf(name, data);
    const run = runs.at(-1);
    if (run?.first.every((array, i) => follows(arrays[i], array, run.length)) === true) run.length += data.length;
    else runs.push({ first: arrays, length: data.length });
  }
  return runs.map(
    ({ first, length }) =>
      first.map(
        ({ buffer, byteOffset }) => new Float32Array(buffer, byteOffset, length),
      ) as readonly Float32Array[] as T,
  );
}

/** Whether `next` begins `length` elements after the beginning of `first`. */
function follows(next: Float32Array | undefined, first: Float32Array, length: number): boolean {
  return (
    next?.buffer === first.buffer && next.byteOffset === first.byteOffset + length * Float32Array.BYTES_PER_ELEMENT
  );
}
