import { createGraph, type Graph } from './graph.ts';
import { derivedWeight, type Node, type Value } from './value.ts';

/**
 * The same computation with weights of 16 bits as float32 from the beginning, in place of casts in every run: for
 * engines that have no kernel for such a cast.
 */
export function widenWeights(graph: Graph): Graph {
  if (!graph.nodes.some(isWeightCast)) return graph;
  const replaced = new Map<Value, Value>();
  for (const node of graph.nodes) {
    const { leaf, inputs, outputs } = node;
    if (leaf) continue;
    const [output] = outputs;
    const source = inputs[0]?.node.leaf;
    if (output && source?.kind === 'weight' && isWeightCast(node)) {
      replaced.set(output, derivedWeight(source.name, output.shape.map(Number), 'float32'));
      continue;
    }
    // Made anew in the old order, which is what decides how long results are kept.
    const copy = node.withInputs(inputs.map((value) => replaced.get(value) ?? value));
    for (const [i, value] of outputs.entries()) {
      const made = copy.outputs[i];
      if (made) replaced.set(value, made);
    }
  }
  return createGraph(
    Object.fromEntries([...graph.outputs].map(([name, value]) => [name, replaced.get(value) ?? value])),
  );
}

function isWeightCast({ op, inputs: [source], outputs: [output] }: Node): boolean {
  const isNarrow = source?.dtype === 'bfloat16' || source?.dtype === 'float16';
  return op === 'cast' && isNarrow && source.node.leaf?.kind === 'weight' && output?.dtype === 'float32';
}
