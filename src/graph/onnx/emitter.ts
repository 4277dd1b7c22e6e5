import type { Dim, Shape } from '../dim.ts';
import type { Tensor } from '../tensor.ts';
import type { Value } from '../value.ts';

/** An ONNX attribute; a whole number is an INT, other numbers must be given as { float }. */
export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

/** Which dialect of ONNX an engine's kernels speak. */
export interface OnnxDialect {
  /** Whether com.microsoft's FusedMatMul and QuickGelu exist: on the CPU and on CUDA. */
  readonly contribOps: boolean;
}

/** What an op's ONNX rule writes to. */
export interface OnnxEmitter {
  readonly dialect: OnnxDialect;
  /** The name of a value in the file. */
  name(value: Value): string;
  /** A name for an intermediate result. */
  temporary(): string;
  /** Appends a node. */
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string,
  ): void;
  /** The name of a tensor that is part of the file; equal small ones are stored once. */
  constant(tensor: Tensor): string;
  /** The name of a constant int64 vector. */
  int64(values: readonly number[]): string;
  /** The name of an int64 vector that holds a shape, computed from the inputs' shapes where it has symbols. */
  shape(shape: Shape): string;
  /** The name of an int64 vector of one element that holds a size. */
  size(dim: Dim): string;
  /** Writes a size to `out` as a float32 scalar. */
  scalarSize(dim: string, out: string): void;
}
