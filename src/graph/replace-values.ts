import { ancestors } from './gradients.ts';
import { createGraph, type Graph } from './graph.ts';
import { type Node, outputOf, type Value } from './value.ts';

/**
 * A graph from the middle on: what `value` would be with others in the place of some that it is computed from.
 * @param replacements by what they replace; dtypes and shapes are to be the same
 */
export function replaceValues(value: Value, replacements: ReadonlyMap<Value, Value>): Value {
  const rebuilt = new Map<Node, Node>();
  const moved = (one: Value): Value => {
    const replacement = replacements.get(one);
    if (replacement) return replacement;
    const node = rebuilt.get(one.node);
    return node ? outputOf(node, one.index) : one;
  };
  for (const node of ancestors([value])) {
    const inputs = node.inputs.map(moved);
    if (inputs.some((one, i) => one !== node.inputs[i])) rebuilt.set(node, node.withInputs(inputs));
  }
  return moved(value);
}

/**
 * A graph with other values in the place of some nodes' first output. All nodes are made anew in the old order, which is
 * what decides how long results are kept.
 * @param replace what takes the node's place, if anything; `inputs` are what the node's own have become
 */
export function rewriteGraph(
  graph: Graph,
  replace: (node: Node, inputs: readonly Value[]) => Value | undefined,
): Graph {
  const replaced = new Map<Value, Value>();
  for (const node of graph.nodes) {
    if (node.leaf) continue;
    const inputs = node.inputs.map((value) => replaced.get(value) ?? value);
    const instead = replace(node, inputs);
    const made = instead ? [instead] : node.withInputs(inputs).outputs;
    for (const [i, value] of made.entries()) {
      const old = node.outputs[i];
      if (old) replaced.set(old, value);
    }
  }
  return createGraph(
    Object.fromEntries([...graph.outputs].map(([name, value]) => [name, replaced.get(value) ?? value])),
  );
}
