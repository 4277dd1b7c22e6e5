import type { Shape } from '../src/graph/dim.ts';
import type { DType } from '../src/graph/tensor.ts';
import { input, type Value } from '../src/graph/value.ts';

/** What the symbols in the cases' shapes stand for when they run. */
export const sizes = { B: 2, H: 2, W: 3, N: 4, T: 3 } as const;

/** An operand of a case. */
export interface CaseInput {
  readonly shape: Shape;
  /** The elements for which the case says what comes out. */
  readonly values: readonly number[];
  readonly dtype?: DType;
  /** Random elements for the check of gradients come from this range. @default [-2, 2] */
  readonly range?: readonly [number, number];
  /** Where the function has a kink, which differences must not step over. */
  readonly kinks?: readonly number[];
  /** Whether the gradient in it is checked. @default true for float32 */
  readonly differentiable?: boolean;
}

/** A use of an op: what goes in, and by hand what comes out. */
export interface OpCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, CaseInput>>;
  readonly build: () => { readonly values: Readonly<Record<string, Value>>; readonly results: readonly Value[] };
  /** The elements of each result, in row-major order. */
  readonly expected: readonly (readonly number[])[];
  /** The shape of each result. */
  readonly shapes: readonly Shape[];
}

/** A result's shape and its elements. */
export interface CaseResult {
  readonly shape: Shape;
  readonly values: readonly number[];
}

/** An operand: its shape and its elements. */
export function operand(shape: Shape, values: readonly number[], options: Partial<CaseInput> = {}): CaseInput {
  return { shape, values, ...options };
}

/** A result: its shape and its elements. */
export function result(shape: Shape, values: readonly number[]): CaseResult {
  return { shape, values };
}

let cases = 0;

/** One row of a table of cases; `build` applies the op to the operands. */
export function opCase<K extends string>(
  name: string,
  inputs: Readonly<Record<K, CaseInput>>,
  build: (values: Readonly<Record<K, Value>>) => Value | readonly Value[],
  ...results: readonly CaseResult[]
): OpCase {
  const prefix = `case${cases++}`;
  return {
    name,
    inputs,
    build() {
      const values: Record<string, Value> = {};
      for (const key in inputs) values[key] = input(`${prefix}.${key}`, inputs[key].shape, inputs[key].dtype);
      const built = build(values as Record<K, Value>); // every key was set
      return { values, results: 'node' in built ? [built] : built };
    },
    expected: results.map(({ values }) => values),
    shapes: results.map(({ shape }) => shape),
  };
}

/** The numbers from `start` on, as many as `count`. */
export function range(count: number, start = 0): readonly number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}
