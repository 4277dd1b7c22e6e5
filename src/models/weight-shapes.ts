import { cast } from '../graph/ops/elementwise.ts';
import { weight } from '../graph/value.ts';
import type { WeightReader } from './weights.ts';

/** Shapes by name. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/**
 * The tensors that a model's graph asks for, with their shapes, found by building it: there need be no files.
 * @param build builds the graph with the reader that it is given
 */
export function weightShapes(build: (read: WeightReader) => unknown): TensorShapes {
  const shapes = new Map<string, readonly number[]>();
  const taken = new Set<string>();
  const read = (name: string, shape: readonly number[], view = shape): ReturnType<typeof weight> => {
    shapes.set(name, shape);
    taken.add(name);
    return cast(weight(name, view), 'float32');
  };
  build(Object.assign(read, { taken }));
  return shapes;
}
