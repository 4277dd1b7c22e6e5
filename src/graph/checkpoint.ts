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
 * copies instead, recomputed from the first of the two, so that of a block only its input outlives the forward pass.
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
  const order = ancestors([loss]);
  const limits = boundaries.map((value) => value.node.id).sort((a, b) => a - b);
  // Block i lies between boundaries i - 1 and i; 0 is what comes before the first, the last what follows all of them.
  const blockOf = (node: Node): number => limits.filter((id) => id < node.id).length;

  // A node is recomputed when it is for its own block's result alone. What several blocks use (the time's modulation,
  // the text) would live as long recomputed as it does kept, and with it stays what is there for it only.
  const results = new Set(boundaries.map((value) => value.node));
  const consumers = new Map<Node, Node[]>();
  const again = new Set<Node>();
  for (const node of [...order].reverse()) {
    const block = blockOf(node);
    const users = consumers.get(node) ?? [];
    const own =
      users.every((user) => blockOf(user) === block) && users.some((user) => results.has(user) || again.has(user));
    if (own && !node.leaf && !results.has(node) && block > 0 && block < limits.length) again.add(node);
    for (const { node: parent } of node.inputs) {
      const known = consumers.get(parent);
      if (known) known.push(node);
      else consumers.set(parent, [node]);
    }
  }

  const copies = new Map<Node, Node>();
  const copyOf = (value: Value): Value => {
    if (!again.has(value.node)) return value;
    let copy = copies.get(value.node);
    if (!copy) {
      copy = value.node.withInputs(value.node.inputs.map(copyOf));
      copies.set(value.node, copy);
    }
    return outputOf(copy, value.index);
  };

  const forward = new Set(order);
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
