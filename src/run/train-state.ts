import { joinedCopy } from '../optim/joined-arrays.ts';
import type { Optimizer, OptimizerState, Params } from '../optim/optimizer.ts';

/** All that changes while training; `parameters`, `optimizer` and `average` change in place. */
export interface TrainState {
  /** Optimizer steps done. */
  step: number;
  /** The adapter's tensors. */
  readonly parameters: Params;
  readonly optimizer: OptimizerState;
  /** The moving average of the parameters, where one is kept. */
  readonly average?: Params;
  /** Steps in a row whose loss was not finite. */
  nanLosses: number;
}

/** The state before the first step of an adapter's training, with copies of its parameters. */
export function initialState(
  parameters: Params,
  optimizer: Optimizer,
  { average = false }: { readonly average?: boolean } = {},
): TrainState {
  return {
    step: 0,
    nanLosses: 0,
    parameters: joinedCopy(parameters),
    optimizer: optimizer.init(parameters),
    ...(average && { average: joinedCopy(parameters) }),
  };
}
