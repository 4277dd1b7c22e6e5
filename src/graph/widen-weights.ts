import type { Graph } from './graph.ts';
import { rewriteGraph } from './replace-values.ts';
import { derivedWeight, type Node, weightNameOf } from './value.ts';

/**
 * The same computation with weights of 16 bits as float32 from the beginning, in place of casts in every run: for
 * engines that have no kernel for such a cast.
 */
export function widenWeights(graph: Graph): Graph {
  if (!graph.nodes.some(isWeightCast)) return graph;
  return rewriteGraph(graph, (node) => {
    const [output] = node.outputs;
    const name = output && isWeightCast(node) ? weightNameOf(output) : undefined;
    return output && name !== undefined ? derivedWeight(name, output.shape.map(Number), 'float32') : undefined;
  });
}

function isWeightCast({ op, inputs: [source], outputs: [output] }: Node): boolean {
  const isNarrow = source?.dtype === 'bfloat16' || source?.dtype === 'float16';
  return op === 'cast' && isNarrow && source.node.leaf?.kind === 'weight' && output?.dtype === 'float32';
}
