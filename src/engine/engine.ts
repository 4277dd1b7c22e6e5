import type { Graph } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Weights } from '../io/safetensors.ts';

/** Settings of one compiled graph. */
export interface CompileOptions {
  /** Whether the graph recomputes what it computed before, which must not be merged again. @default false */
  readonly recomputes?: boolean;
  /** Whether it runs so seldom that to bring its weights into an order that suits products is not worth the time. @default false */
  readonly runsSeldom?: boolean;
}

/** A compiled graph. */
export interface Executable {
  /**
   * Computes the outputs from the inputs.
   * @throws RangeError naming an input that is missing, unknown, or of another dtype or shape
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Takes back what a run gave, for the next run to use its memory: the tensors are empty from then on. */
  recycle?(outputs: Readonly<Record<string, Tensor>>): void;
  /** Frees it. */
  dispose(): Promise<void>;
}

/** What runs graphs. */
export interface Engine {
  readonly name: string;
  /**
   * Makes a graph ready to run. Weights are found by name; those in files are read in place, not copied.
   * @throws UserError naming a weight that is missing or has another shape or dtype
   */
  compile(graph: Graph, weights: Weights, options?: CompileOptions): Promise<Executable>;
  /** Ends the engine and all that it compiled. */
  close(): Promise<void>;
}
