import { cast } from '../graph/ops/elementwise.ts';
import { dequantizeNf4, nf4Block } from '../graph/ops/nf4.ts';
import { split } from '../graph/ops/movement.ts';
import { type DType, elementCount } from '../graph/tensor.ts';
import { derivedWeight, type Value, weight, weightNameOf } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { takeTensor } from '../io/take-tensor.ts';

/**
 * Takes a model's weights by their names in its files, as float32 values whatever they are stored in; in 4 bits if it has
 * them so too.
 */
export interface WeightReader {
  /**
   * @param shape what the config asks for
   * @param view another shape of as many elements to read it as, such as a 1x1 convolution's kernel as a matrix
   * @throws UserError when it is missing or has another shape
   */
  (name: string, shape: readonly number[], view?: readonly number[]): Value;
  /** The names taken so far: what is left over in the files is of another model. */
  readonly taken: ReadonlySet<string>;
}

/** Names of a weight's tensors where it is there in 4 bits too. */
export function nf4Names(name: string): {
  /** uint8 [n / 2] */
  readonly codes: string;
  /** float32 [n / 64] */
  readonly scales: string;
} {
  return { codes: `${name}.nf4`, scales: `${name}.nf4_scales` };
}

/** Elements of a weight up to which float32 copies cost nothing beside the casts that they save. */
export const smallWeight = 2 ** 18;

/** Reads the weights whose names begin with `prefix`; the graph's weights keep the names without it. */
export function weightReader(weights: Weights, prefix = ''): WeightReader {
  const taken = new Set<string>();
  const values = new Map<string, Value>();
  const take = (name: string, shape: readonly number[], view = shape): Value => {
    const key = `${name} ${view.join()}`;
    let value = values.get(key);
    if (!value) {
      const { dtype } = takeTensor(weights, prefix + name, shape);
      taken.add(prefix + name);
      value = weights.has(nf4Names(prefix + name).codes) ? fromNf4(name, view) : widened(name, view, dtype);
      values.set(key, value);
    }
    return value;
  };
  return Object.assign(take, { taken });
}

function fromNf4(name: string, shape: readonly number[]): Value {
  const { codes, scales } = nf4Names(name);
  const count = elementCount(shape);
  return dequantizeNf4(weight(codes, [count / 2], 'uint8'), weight(scales, [count / nf4Block]), shape);
}

function widened(name: string, shape: readonly number[], dtype: DType): Value {
  const isSmall = dtype !== 'float32' && elementCount(shape) <= smallWeight;
  return isSmall ? derivedWeight(name, shape, 'float32') : cast(weight(name, shape, dtype), 'float32');
}

/** Equal parts of a weight along its first axis; of a small one cut when it is loaded. */
export function weightParts(value: Value, count: number): readonly Value[] {
  if (count === 1) return [value];
  const [first = 1, ...rest] = value.shape.map(Number);
  const { leaf } = value.node;
  const indices = Array.from({ length: count }, (_, i) => i);
  if (leaf?.kind !== 'weight')
    return split(
      value,
      0,
      indices.map(() => first / count),
    );
  return indices.map((i) => derivedWeight(leaf.name, [first / count, ...rest], `part ${i}/${count}`));
}

/**
 * What a convolution with 3x3 kernels, [out, in, 3, 3], is to a picture interpolated to twice its size: of the pixels of
 * each place in blocks of 2x2, row by row, the 2x2 kernels [out, in, 2, 2] to the picture as it was, made when they are
 * loaded.
 */
export function pixelKernels(kernel: Value): readonly Value[] {
  const name = weightNameOf(kernel);
  if (name === undefined) throw new RangeError(`pixelKernels: a weight expected, got ${kernel.node.op}`);
  const [out = 1, inner = 1] = kernel.shape.map(Number);
  const places = ['0/0', '0/1', '1/0', '1/1'] as const;
  return places.map((place) => derivedWeight(name, [out, inner, 2, 2], `pixel ${place}`));
}
