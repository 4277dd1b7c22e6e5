import type { Tensor } from '../graph/tensor.ts';
import type { TensorList } from './packed-tensors.ts';

/** A weight that is neither in a file nor in the model: the model names it as if it were a file. */
export interface WeightPart {
  readonly path: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What the engine asks its worker. */
export type Request =
  | {
      readonly kind: 'compile';
      readonly session: number;
      readonly model: Uint8Array;
      /** The folder that external data is relative to. */
      readonly folder: string;
      readonly provider: string;
      readonly threads: number;
      readonly recomputes: boolean;
      /** Whether weights are kept in the order that products read them in. */
      readonly prepacks: boolean;
      readonly cpuFallback: boolean;
      readonly parts?: readonly WeightPart[];
    }
  | {
      readonly kind: 'run';
      readonly session: number;
      /** The feeds, packed. */
      readonly feeds: ArrayBuffer;
      /** What is in `feeds`; absent when it is as in the session's last run. */
      readonly fed?: TensorList;
      /** Memory for the outputs, of an earlier run. */
      readonly spare?: ArrayBuffer;
    }
  | { readonly kind: 'dispose'; readonly session: number }
  /** Frees all sessions; the answer says that the thread can be ended. */
  | { readonly kind: 'close' };

/** A numbered request. */
export interface Envelope {
  readonly id: number;
  readonly request: Request;
}

/** The worker's answer to the request of that number. */
export interface Reply {
  readonly id: number;
  /** Of a compiled graph: the outputs that come packed, those of the CPU whose shapes are always the same. */
  readonly fixed?: TensorList;
  /** Of a run: those outputs. */
  readonly packed?: ArrayBuffer;
  /** All other outputs. */
  readonly outputs?: Readonly<Record<string, Tensor>>;
  /** The feeds' memory, to be used again. */
  readonly spare?: ArrayBuffer;
  readonly error?: string;
}
