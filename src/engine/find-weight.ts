import { UserError } from '../errors.ts';
import { formatShape } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { derivationOf, type Value } from '../graph/value.ts';
import { fileOf, isTensorLocation, readTensor, type TensorLocation, type Weights } from '../io/safetensors.ts';

/**
 * The tensor that a graph's weight `name` is. Another shape of as many elements will do: a 1x1 convolution's kernel
 * can be read as a matrix.
 * @throws UserError when it is missing or has another dtype or number of elements
 */
export async function findWeight(graph: Graph, weights: Weights, name: string): Promise<TensorLocation | Tensor> {
  const value = graph.weights.get(name);
  if (!value) throw new RangeError(`findWeight: the graph has no weight ${name}`);
  const derived = derivationOf(name);
  if (!derived) return find(weights, name, value);
  // What it is made of may itself be derived.
  const { name: base, derivation } = derived;
  const shared = derivationOf(base);
  const source = find(weights, shared ? shared.name : base, value, true);
  const data = toFloat32(isTensorLocation(source) ? await readTensor(source) : source);
  return float32(value.shape.map(Number), derivation === 'reversed' ? reversed(data, value) : data);
}

function find(weights: Weights, name: string, value: Value, anyDType = false): TensorLocation | Tensor {
  const source = weights.get(name);
  if (!source)
    throw new UserError(`The weight ${name} is missing; the model's files are incomplete or of another model.`);
  const isSame = anyDType || source.dtype === value.dtype;
  if (!isSame || elementCount(source.shape) !== elementCount(value.shape.map(Number))) {
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
