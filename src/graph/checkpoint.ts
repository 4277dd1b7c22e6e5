import { ancestors } from './gradients.ts';
import { outputOf, type Node, type Value } from './value.ts';

/** What checkpointing needs to know of a training graph. */
export interface CheckpointOptions {
  /** The loss: what it is computed from is the forward pass, everything else the backward pass. */
  readonly loss: Value;
  /** The values that are kept, in order: the input of each block and the output of the last. */
  readonly boundaries: readonly Value[];
}

/**
 * Gradient checkpointing as a rewrite of a graph: backward nodes that use what was computed between two boundaries use
 * copies instead, recomputed from the first of the two, so that only the boundaries outlive the forward pass.
 *
 * The copies compute the same as the originals, which an optimizer that merges common subexpressions would notice:
 * the engine turns that off for such graphs.
 *
 * @returns `outputs`, on the rewritten graph
 */
export function checkpoint<K extends string>(
  outputs: Readonly<Record<K, Value>>,
  { loss, boundaries }: CheckpointOptions,
): Record<K, Value> {
  const forward = new Set(ancestors([loss]));
  const kept = new Set(boundaries);
  const limits = boundaries.map((value) => value.node.id);
  const [first = Number.POSITIVE_INFINITY, last = Number.NEGATIVE_INFINITY] = [limits[0], limits.at(-1)];

  // What runs between the first and the last boundary is recomputed; the text projections before it are kept.
  const recomputed = (node: Node): boolean =>
    !node.leaf &&
    forward.has(node) &&
    node.id > first &&
    node.id <= last &&
    !node.outputs.some((value) => kept.has(value));

  const copies = new Map<Node, Node>();
  const copyOf = (value: Value): Value => {
    if (!recomputed(value.node)) return value;
    let copy = copies.get(value.node);
    if (!copy) {
      copy = value.node.withInputs(value.node.inputs.map(copyOf));
      copies.set(value.node, copy);
    }
    return outputOf(copy, value.index);
  };

  const nodes = ancestors(Object.values<Value>(outputs));
  const backward = nodes.filter((node) => !node.leaf && !forward.has(node));
  // Copies come first: with lower ids than the backward pass they run as late as they can (see serialize.ts).
  for (const node of backward) node.inputs.forEach(copyOf);

  const rewritten = new Map<Node, Node>();
  const moved = (value: Value): Value => {
    const node = rewritten.get(value.node);
    return node ? outputOf(node, value.index) : value;
  };
  for (const node of backward) {
    const inputs = node.inputs.map((value) => copyOf(moved(value)));
    rewritten.set(node, node.withInputs(inputs));
  }
  const result: Record<K, Value> = { ...outputs };
  for (const name in outputs) result[name] = moved(outputs[name]);
  return result;
}
