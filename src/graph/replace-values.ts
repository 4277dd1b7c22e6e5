import { ancestors } from './gradients.ts';
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
