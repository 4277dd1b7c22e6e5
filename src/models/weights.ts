import { cast } from '../graph/ops/elementwise.ts';
import { split } from '../graph/ops/movement.ts';
import { elementCount } from '../graph/tensor.ts';
import { derivedWeight, type Value, weight } from '../graph/value.ts';
import type { Weights } from '../io/safetensors.ts';
import { takeTensor } from '../io/take-tensor.ts';

/**
 * Takes a model's weights by their names in its files, as float32 values whatever they are stored in.
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
      const isSmall = dtype !== 'float32' && elementCount(shape) <= smallWeight;
      value = isSmall ? derivedWeight(name, view, 'float32') : cast(weight(name, view, dtype), 'float32');
      values.set(key, value);
    }
    return value;
  };
  return Object.assign(take, { taken });
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
