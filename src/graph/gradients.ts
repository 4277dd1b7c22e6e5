import { expand } from './ops/broadcast.ts';
import { add, scalar } from './ops/elementwise.ts';
import type { Node, Value } from './value.ts';

/** All nodes that `values` are computed from, in order of creation: a topological order. */
export function ancestors(values: Iterable<Value>): readonly Node[] {
  const found = new Set<Node>();
  const stack = [...values].map((value) => value.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    for (const { node: parent } of node.inputs) if (!found.has(parent)) stack.push(parent);
  }
  return [...found].sort((a, b) => a.id - b.id);
}

/**
 * Appends the backward pass: d loss / d parameter for each parameter, of the parameter's shape.
 *
 * Reverse accumulation over the nodes between the parameters and the loss; what no parameter reaches (frozen weights,
 * everything below the first adapter) gets neither gradient nor node.
 *
 * @param loss a scalar, shape []
 * @throws RangeError when the loss is no scalar, an op on the way has no gradient, or a parameter does not reach the loss
 */
export function gradients(loss: Value, parameters: readonly Value[]): readonly Value[] {
  if (loss.shape.length !== 0)
    throw new RangeError(`gradients: a scalar loss expected, got [${loss.shape.join(', ')}]`);
  const order = ancestors([loss]);
  const wanted = new Set<Node>(parameters.map(({ node }) => node));
  for (const node of order)
    if (node.inputs.some((value) => wanted.has(node) || wanted.has(value.node))) wanted.add(node);

  const sums = new Map<Value, Value>([[loss, expand(scalar(1, loss.dtype), loss.shape)]]);
  for (const node of [...order].reverse()) {
    if (node.leaf || !wanted.has(node)) continue;
    const dys = node.outputs.map((value) => sums.get(value));
    if (dys.every((dy) => dy === undefined)) continue;
    if (!node.gradient)
      throw new RangeError(`gradients: ${node.op} has no gradient and stands between a parameter and the loss`);
    const wants = node.inputs.map((value) => wanted.has(value.node));
    for (const [i, dx] of node.gradient(dys, wants).entries()) {
      const value = node.inputs[i];
      if (!value || !wants[i] || !dx) continue;
      const sum = sums.get(value);
      sums.set(value, sum ? add(sum, dx) : dx);
    }
  }
  return parameters.map((parameter) => {
    const gradient = sums.get(parameter);
    if (!gradient) {
      const { leaf } = parameter.node;
      throw new RangeError(
        `gradients: ${leaf && 'name' in leaf ? leaf.name : parameter.node.op} does not reach the loss`,
      );
    }
    return gradient;
  });
}
