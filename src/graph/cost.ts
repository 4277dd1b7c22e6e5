import type { DimBindings } from './dim.ts';
import { concreteShape, type Graph } from './graph.ts';
import { bytesPerElement, elementCount } from './tensor.ts';
import type { Node, Value } from './value.ts';

/** What a run of a graph takes, counted and not timed. */
export interface GraphCost {
  /** How often each op occurs, leaves left out. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Multiplications and additions; an op that is no product or convolution counts one for each element it makes. */
  readonly flops: number;
  /** Bytes that all nodes read and write together; what only looks at its input in another shape moves none. */
  readonly bytesMoved: number;
  /** Bytes of the largest set of values that live at once, weights that are files left out. */
  readonly peakBytes: number;
}

/** Ops whose result is their first input's memory. */
const views: ReadonlySet<string> = new Set(['reshape', 'stopGradient', 'withGradient']);

/**
 * Counts what a run takes when inputs have the given sizes.
 * @param bindings what the symbols of the inputs' axes stand for; see bindInputs
 */
export function graphCost(graph: Graph, bindings: DimBindings): GraphCost {
  const nodes: Record<string, number> = {};
  let [flops, bytesMoved] = [0, 0];
  for (const node of graph.nodes) {
    if (node.leaf) continue;
    nodes[node.op] = (nodes[node.op] ?? 0) + 1;
    if (views.has(node.op)) continue;
    flops += flopsOf(node, bindings);
    for (const value of [...node.inputs, ...node.outputs]) bytesMoved += bytesOf(value, bindings);
  }
  return {
    nodes: Object.fromEntries(Object.entries(nodes).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    flops,
    bytesMoved,
    peakBytes: peakBytes(graph, bindings),
  };
}

function bytesOf(value: Value, bindings: DimBindings): number {
  return elementCount(concreteShape(value, bindings)) * bytesPerElement(value.dtype);
}

function flopsOf({ op, inputs, outputs }: Node, bindings: DimBindings): number {
  const made = outputs.reduce((sum, value) => sum + elementCount(concreteShape(value, bindings)), 0);
  const sizes = (value: Value | undefined): readonly number[] => (value ? concreteShape(value, bindings) : []);
  switch (op) {
    case 'matMul': {
      // An operand's two last axes are the rows of the result and what is summed over, in either order.
      const [rows = 1] = sizes(outputs[0]).slice(-2);
      return (2 * made * elementCount(sizes(inputs[0]).slice(-2))) / rows;
    }
    case 'quantizedMatMul':
      return 2 * made * (sizes(inputs[0]).at(-1) ?? 1);
    case 'conv2d':
      return 2 * made * elementCount(sizes(inputs[1]).slice(1));
    default:
      return made;
  }
}

/**
 * The order in which onnxruntime runs nodes: depth first against the edges, from the last node that nothing uses, and
 * of a node's inputs the one that comes last in the file first (onnxruntime's Graph::ReverseDFSFrom).
 */
export function executionOrder(graph: Graph): readonly Node[] {
  const computed = graph.nodes.filter(({ leaf }) => !leaf);
  const used = new Set(computed.flatMap(({ inputs }) => inputs.map(({ node }) => node)));
  // As the file lists them: results that nothing uses come last, in the outputs' order.
  const last = new Set(
    [...graph.outputs.values()].map(({ node }) => node).filter((node) => !node.leaf && !used.has(node)),
  );
  const file = [...computed.filter((node) => !last.has(node)), ...last];
  const position = new Map(file.map((node, i) => [node, i]));
  const at = (node: Node): number => position.get(node) ?? -1;
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack = file.filter((node) => !used.has(node)).map((node) => ({ node, leave: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, leave } = top;
    if (leave) {
      order.push(node);
      continue;
    }
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, leave: true });
    const parents = [...new Set(node.inputs.map((value) => value.node))].filter((parent) => !parent.leaf);
    for (const parent of parents.sort((a, b) => at(a) - at(b)))
      if (!seen.has(parent)) stack.push({ node: parent, leave: false });
  }
  return order;
}

/** Values are freed after their last use; inputs, constants and results stay. */
function peakBytes(graph: Graph, bindings: DimBindings): number {
  const order = executionOrder(graph);
  const owner = (value: Value): Value => {
    const [source] = value.node.inputs;
    return source && views.has(value.node.op) ? owner(source) : value;
  };
  const lastUse = new Map<Value, number>();
  for (const [i, node] of order.entries()) for (const value of node.inputs) lastUse.set(owner(value), i);
  const results = new Set([...graph.outputs.values()].map(owner));
  const freedAt = new Map<number, number>();
  let live = 0;
  for (const { leaf, outputs } of graph.nodes) {
    if (leaf && leaf.kind !== 'weight') live += outputs.reduce((sum, value) => sum + bytesOf(value, bindings), 0);
  }
  let peak = live;
  for (const [i, node] of order.entries()) {
    for (const value of node.outputs) {
      if (owner(value) !== value) continue;
      const bytes = bytesOf(value, bindings);
      live += bytes;
      const end = lastUse.get(value) ?? i;
      if (!results.has(value)) freedAt.set(end, (freedAt.get(end) ?? 0) + bytes);
    }
    peak = Math.max(peak, live);
    live -= freedAt.get(i) ?? 0;
  }
  return peak;
}
