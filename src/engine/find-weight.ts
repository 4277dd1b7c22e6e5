import { UserError } from '../errors.ts';
import { formatShape } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';
import { elementCount, type Tensor } from '../graph/tensor.ts';
import { fileOf, isTensorLocation, type TensorLocation, type Weights } from '../io/safetensors.ts';

/**
 * The tensor that a graph's weight `name` is. Another shape of as many elements will do: a 1x1 convolution's kernel
 * can be read as a matrix.
 * @throws UserError when it is missing or has another dtype or number of elements
 */
export function findWeight(graph: Graph, weights: Weights, name: string): TensorLocation | Tensor {
  const value = graph.weights.get(name);
  if (!value) throw new RangeError(`findWeight: the graph has no weight ${name}`);
  const source = weights.get(name);
  if (!source)
    throw new UserError(`The weight ${name} is missing; the model's files are incomplete or of another model.`);
  if (source.dtype !== value.dtype || elementCount(source.shape) !== elementCount(value.shape.map(Number))) {
    const where = isTensorLocation(source) ? ` in ${fileOf(source)}` : '';
    throw new UserError(
      `The weight ${name}${where} is ${source.dtype} ${formatShape(source.shape)}, and ${value.dtype} ${formatShape(value.shape)} is expected; the file is of another model.`,
    );
  }
  return source;
}
