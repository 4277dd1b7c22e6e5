import type { Graph } from './graph.ts';
import type { Node } from './value.ts';

/**
 * A topological order that works towards one result after the other, in the order in which the results were made: a
 * node runs for the first result that needs it. What is recomputed for a block's gradients therefore runs just before
 * them and not with all other recomputation, and a cast weight is not made long before its use.
 */
export function scheduleNodes(graph: Graph): readonly Node[] {
  // The first result that needs a node; never later than that of what uses it, so sorting keeps the order topological.
  const first = new Map<Node, number>();
  const byId = [...graph.nodes].sort((a, b) => a.id - b.id);
  for (const node of [...byId].reverse()) {
    const needed = first.get(node) ?? node.id;
    first.set(node, needed);
    for (const { node: parent } of node.inputs) first.set(parent, Math.min(first.get(parent) ?? needed, needed));
  }
  const key = (node: Node): number => first.get(node) ?? node.id;
  return byId.sort((a, b) => key(a) - key(b) || a.id - b.id);
}
