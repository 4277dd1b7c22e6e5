import { UserError } from '../errors.ts';
import { formatShape } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { type Derivation, derivationOf, type Value } from '../graph/value.ts';
import { winogradKernelRows } from '../graph/winograd.ts';
import { fileOf, isTensorLocation, readTensor, type TensorLocation, type Weights } from '../io/safetensors.ts';

/**
 * The tensor that a graph's weight `name` is. Another shape of as many elements will do: a 1x1 convolution's kernel
 * can be read as a matrix.
 * @throws UserError when it is missing or has another dtype or number of elements
 */
export async function findWeight(graph: Graph, weights: Weights, name: string): Promise<TensorLocation | Tensor> {
  const value = graph.weights.get(name);
  if (!value) throw new RangeError(`findWeight: the graph has no weight ${name}`);
  // What a weight is made of may itself be derived.
  const derivations: Derivation[] = [];
  let base = name;
  for (let derived = derivationOf(base); derived; derived = derivationOf(base)) {
    derivations.unshift(derived.derivation);
    base = derived.name;
  }
  if (derivations.length === 0) return find(weights, name, value);
  const parts = derivations.reduce((product, derivation) => product * sourceElements(derivation), 1);
  const source = find(weights, base, value, { anyDType: true, parts });
  let data = toFloat32(isTensorLocation(source) ? await readTensor(source) : source);
  for (const derivation of derivations) {
    const { index, count } = partOf(derivation);
    if (count > 1) data = data.slice((data.length / count) * index, (data.length / count) * (index + 1));
    if (derivation === 'reversed') data = reversed(data, value);
    const pixel = pixelOf(derivation);
    if (pixel) data = pixelKernels(data, pixel);
    const row = winogradRowOf(derivation);
    if (row) data = winogradKernels(data, row);
  }
  return float32(value.shape.map(Number), data);
}

/** How many elements of its source a derivation takes for each of its own. */
function sourceElements(derivation: Derivation): number {
  if (pixelOf(derivation)) return 9 / 4;
  return winogradRowOf(derivation) ? 3 : partOf(derivation).count;
}

/** Which part of how many a derivation takes: the first of one where it takes all. */
function partOf(derivation: Derivation): { readonly index: number; readonly count: number } {
  const [, index = 0, count = 1] = /^part (\d+)\/(\d+)$/.exec(derivation)?.map(Number) ?? [];
  return { index, count };
}

/** The row and column in a block of 2x2 pixels whose kernels a derivation makes. */
function pixelOf(derivation: Derivation): readonly [row: number, column: number] | undefined {
  const [, row, column] = /^pixel (\d)\/(\d)$/.exec(derivation)?.map(Number) ?? [];
  return row === undefined || column === undefined ? undefined : [row, column];
}

/** What a derivation of Winograd's takes of the three rows of a kernel. */
function winogradRowOf(derivation: Derivation): readonly [number, number, number] | undefined {
  const [, index] = /^winograd (\d)\/6$/.exec(derivation) ?? [];
  return index === undefined ? undefined : winogradKernelRows[Number(index)];
}

function find(
  weights: Weights,
  name: string,
  value: Value,
  { anyDType = false, parts = 1 } = {},
): TensorLocation | Tensor {
  const source = weights.get(name);
  if (!source)
    throw new UserError(`The weight ${name} is missing; the model's files are incomplete or of another model.`);
  const isSame = anyDType || source.dtype === value.dtype;
  if (!isSame || elementCount(source.shape) !== parts * elementCount(value.shape.map(Number))) {
    const where = isTensorLocation(source) ? ` in ${fileOf(source)}` : '';
    throw new UserError(
      `The weight ${name}${where} is ${source.dtype} ${formatShape(source.shape)}, and ${value.dtype} ${formatShape(value.shape)} is expected; the file is of another model.`,
    );
  }
  return source;
}

/** Each matrix of the last two axes from its last element to its first. */
function reversed(data: Float32Array, { shape }: Value): Float32Array {
  const size = elementCount(shape.slice(-2).map(Number));
  const result = data.slice();
  for (let start = 0; start < result.length; start += size) result.subarray(start, start + size).reverse();
  return result;
}

/**
 * 2x2 kernels of 3x3 ones: of the three rows that a pixel of an interpolated picture sees two are the same, the first two of
 * an odd row and the last two of an even one, and so with columns.
 */
function pixelKernels(data: Float32Array, [row, column]: readonly [number, number]): Float32Array {
  // Of each of three, which of two it goes into.
  const seen = (parity: number): readonly number[] => (parity === 0 ? [0, 1, 1] : [0, 0, 1]);
  const [rows, columns] = [seen(row), seen(column)];
  const result = new Float32Array((data.length / 9) * 4);
  for (let kernel = 0; kernel < data.length / 9; kernel++) {
    for (const [i, y] of rows.entries()) {
      for (const [j, x] of columns.entries()) {
        const to = kernel * 4 + 2 * y + x;
        result[to] = (result[to] ?? 0) + (data[kernel * 9 + 3 * i + j] ?? 0);
      }
    }
  }
  return result;
}

/** Kernels of one row of 3x3 ones, each a sum of their three rows. */
function winogradKernels(data: Float32Array, factors: readonly [number, number, number]): Float32Array {
  const [first, second, third] = factors;
  const result = new Float32Array(data.length / 3);
  for (let to = 0; to < result.length; to++) {
    const from = Math.floor(to / 3) * 9 + (to % 3);
    result[to] = first * (data[from] ?? 0) + second * (data[from + 3] ?? 0) + third * (data[from + 6] ?? 0);
  }
  return result;
}
