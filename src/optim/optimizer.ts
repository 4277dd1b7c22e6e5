import { UserError } from '../errors.ts';
import { elementCount, float32, tensor } from '../graph/tensor.ts';
import type { Tensor } from '../graph/tensor.ts';

/** A tensor of float32 elements: adapters, their gradients and what optimizers remember are never anything less. */
export type Float32Tensor = ReturnType<typeof float32>;

/** Trained tensors, or their gradients, by name. Updates write into their `data`. */
export type Params = ReadonlyMap<string, Float32Tensor>;

/** What an optimizer remembers between steps; `update` changes it in place. */
export interface OptimizerState {
  /** Per parameter, as `exp_avg.NAME`; PyTorch's names of the quantities where it has them. */
  readonly tensors: Params;
  /** Counters and, in Prodigy, the estimate `d`. */
  readonly scalars: Record<string, number>;
}

/** A rule that turns gradients into an update of the parameters: data and functions, no hidden state. */
export interface Optimizer {
  readonly name: OptimizerName;
  /** The state before the first step. */
  init(params: Params): OptimizerState;
  /**
   * One step: changes `params` and `state` in place.
   * @param grads a gradient of the same shape for each parameter; may be changed
   * @param lr the learning rate of this step
   * @param scale what the gradients are multiplied by first, such as clipping's factor: fused with the step where that
   *   saves a pass over them. @default 1
   * @throws RangeError when a gradient is missing or has another shape
   */
  update(params: Params, grads: Params, state: OptimizerState, lr: number, scale?: number): void;
}

/** Names that a config's `optimizer` may have. */
export const optimizerNames = ['adamw', 'prodigy', 'came', 'lion', 'adafactor'] as const;

/** One of `optimizerNames`. */
export type OptimizerName = (typeof optimizerNames)[number];

/** A tensor of zeros with the given shape. */
export function zerosOf(shape: readonly number[]): Float32Tensor {
  return float32(shape, new Float32Array(elementCount(shape)));
}

/** The elements of `map`'s tensor `name`, which must have `count` of them. */
export function elementsOf(map: Params, name: string, count: number): Float32Array {
  const found = map.get(name);
  if (found?.data.length !== count) {
    throw new RangeError(
      `optimizer: ${name} should have ${count} elements, got ${found ? found.data.length : 'no such tensor'}`,
    );
  }
  return found.data;
}

const scalarPrefix = 'scalar.';

/** A state as named tensors for a safetensors file: its tensors and each scalar as a float64 of shape []; nothing is rounded. */
export function stateTensors(state: OptimizerState): Map<string, Tensor> {
  const saved = new Map<string, Tensor>(state.tensors);
  for (const [name, value] of Object.entries(state.scalars)) {
    saved.set(scalarPrefix + name, tensor('float64', [], Float64Array.of(value)));
  }
  return saved;
}

/**
 * The state that `stateTensors` saved, bit for bit, for the same optimizer and parameters. Tensors are copied.
 * @throws UserError when a tensor is missing, unknown, or has another shape or dtype than this run's
 */
export function restoreState(optimizer: Optimizer, params: Params, saved: ReadonlyMap<string, Tensor>): OptimizerState {
  const fresh = optimizer.init(params);
  const expected = stateTensors(fresh);
  const describe = (t: Tensor | undefined): string => (t ? `${t.dtype} [${t.shape.join(', ')}]` : 'absent');
  for (const name of new Set([...expected.keys(), ...saved.keys()])) {
    const [want, got] = [describe(expected.get(name)), describe(saved.get(name))];
    if (want !== got) {
      throw new UserError(
        `The saved state of the ${optimizer.name} optimizer does not fit this run: ${name} is ${got} there and ${want} here. ` +
          'Resume with the optimizer, targets and ranks that the checkpoint was saved with, or start a new run.',
      );
    }
  }
  for (const [name, { data }] of fresh.tensors) {
    const source = saved.get(name)?.data;
    if (source instanceof Float32Array) data.set(source);
  }
  for (const name of Object.keys(fresh.scalars)) {
    const source = saved.get(scalarPrefix + name)?.data;
    if (source instanceof Float64Array) fresh.scalars[name] = source[0] ?? 0;
  }
  return fresh;
}
