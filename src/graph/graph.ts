import { bindDim, type DimBindings, evaluateDim, formatShape, type Shape } from './dim.ts';
import { ancestors } from './gradients.ts';
import type { Tensor } from './tensor.ts';
import { type Node, unpacksWeight, type Value } from './value.ts';

/** A computation: named outputs and all that they need. */
export interface Graph {
  /** The inputs that the outputs depend on, by name. */
  readonly inputs: ReadonlyMap<string, Value>;
  /** The weights that the outputs depend on, by name. */
  readonly weights: ReadonlyMap<string, Value>;
  readonly outputs: ReadonlyMap<string, Value>;
  /** Every node in a topological order: what unpacks weights, then forward, recomputed and backward nodes as they were made. */
  readonly nodes: readonly Node[];
}

/**
 * Collects what `outputs` are computed from.
 * @throws RangeError when two inputs or weights share a name but not a type, or what differs shares a name.
 */
export function createGraph(outputs: Readonly<Record<string, Value>>): Graph {
  const inputs = new Map<string, Value>();
  const weights = new Map<string, Value>();
  const nodes = ancestors(Object.values(outputs));
  for (const {
    leaf,
    outputs: [value],
  } of nodes) {
    if (!leaf || leaf.kind === 'constant' || !value) continue;
    const names = leaf.kind === 'input' ? inputs : weights;
    const known = names.get(leaf.name);
    if (known && (known.dtype !== value.dtype || formatShape(known.shape) !== formatShape(value.shape))) {
      throw new RangeError(
        `createGraph: ${leaf.kind} ${leaf.name} is ${known.dtype} ${formatShape(known.shape)} in one place and ${value.dtype} ${formatShape(value.shape)} in another`,
      );
    }
    if (!known) names.set(leaf.name, value);
  }
  for (const name of weights.keys()) {
    if (inputs.has(name)) throw new RangeError(`createGraph: ${name} is both an input and a weight; rename the input`);
  }
  for (const [name, { node }] of Object.entries(outputs)) {
    const isLeaf = node.leaf && 'name' in node.leaf && node.leaf.name === name;
    if ((inputs.has(name) || weights.has(name)) && !isLeaf) {
      throw new RangeError(`createGraph: the output ${name} is named as an input or weight is; rename it`);
    }
  }
  return {
    inputs,
    weights,
    outputs: new Map(Object.entries(outputs)),
    nodes: [...nodes.filter(unpacksWeight), ...nodes.filter((node) => !unpacksWeight(node))],
  };
}

/**
 * What the symbols of a graph's inputs stand for, given what is fed.
 * @throws RangeError naming the input when one is missing, has another dtype or rank, or sizes contradict each other.
 */
export function bindInputs(graph: Graph, feeds: Readonly<Record<string, Tensor>>): DimBindings {
  const bindings: Record<string, number> = {};
  for (const [name, { dtype, shape }] of graph.inputs) {
    const feed = feeds[name];
    if (!feed) throw new RangeError(`input '${name}' is missing; expected is ${dtype} ${formatShape(shape)}`);
    if (feed.dtype !== dtype || feed.shape.length !== shape.length) {
      throw new RangeError(
        `input '${name}' is ${feed.dtype} ${formatShape(feed.shape)}; expected is ${dtype} ${formatShape(shape)}`,
      );
    }
    bindShape(name, shape, feed.shape, bindings);
  }
  for (const name of Object.keys(feeds)) {
    if (!graph.inputs.has(name)) {
      const known = [...graph.inputs.keys()].join(', ') || 'none';
      throw new RangeError(`'${name}' is fed and is no input of the graph; its inputs are: ${known}`);
    }
  }
  // Once more: a size such as H*W may stand on an input that comes before those that say what H and W are.
  for (const [name, { shape }] of graph.inputs) bindShape(name, shape, feeds[name]?.shape ?? [], bindings);
  return bindings;
}

function bindShape(name: string, shape: Shape, sizes: readonly number[], bindings: Record<string, number>): void {
  for (const [axis, dim] of shape.entries()) {
    try {
      bindDim(dim, sizes[axis] ?? 0, bindings);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new RangeError(`input '${name}' ${formatShape(shape)} is fed ${formatShape(sizes)}: ${error.message}`);
    }
  }
}

/** The concrete shape of a value under bindings. */
export function concreteShape(value: Value, bindings: DimBindings): readonly number[] {
  return value.shape.map((dim) => evaluateDim(dim, bindings));
}
