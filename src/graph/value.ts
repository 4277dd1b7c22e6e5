import type * as tfjs from '@tensorflow/tfjs-core';

import { canonicalDim, type Dim, type Shape } from './dim.ts';
import type { OnnxEmitter } from './onnx/emitter.ts';
import type { DType, Tensor } from './tensor.ts';

/** Element type and shape of a value. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** One result of a node: what ops take and give. */
export interface Value extends ValueType {
  readonly node: Node;
  readonly index: number;
}

/** Where a value that no op computes comes from. */
export type Leaf =
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'weight'; readonly name: string }
  | { readonly kind: 'constant'; readonly tensor: Tensor };

/** What an op's rules get to see of a node. */
export interface RuleContext<I, A> {
  readonly inputs: I;
  readonly attributes: A;
}

type EachOf<I, T> = { readonly [K in keyof I]: T };

/** What a gradient rule sees: the node, and d loss / d output for each output that has one. */
export interface GradientContext<I, A> extends RuleContext<I, A> {
  readonly outputs: readonly Value[];
  /** Gradient of the first output, for the many ops that have one. */
  readonly dy: Value;
  /** Gradients of all outputs. */
  readonly dys: readonly (Value | undefined)[];
  /** Which inputs' gradients are wanted; the others are not used, so need not be computed. */
  readonly wants: EachOf<I, boolean>;
}

/** What an ONNX rule sees: names of its inputs and outputs in the file, and the emitter. */
export interface OnnxContext<I, A> extends RuleContext<I, A> {
  readonly outputs: readonly Value[];
  readonly emit: OnnxEmitter;
  readonly names: readonly string[];
  readonly outputNames: readonly string[];
}

/** The part of TensorFlow.js that kernels use. */
export type Tfjs = typeof tfjs;

/** What a TensorFlow.js kernel sees: tensors in place of values, and the sizes of this run's axes. */
export interface TfjsContext<I, A> {
  readonly tf: Tfjs;
  readonly inputs: EachOf<I, tfjs.Tensor>;
  readonly attributes: A;
  readonly size: (dim: Dim) => number;
}

/**
 * All there is to say about an op: one object in one file. `I` is the tuple of its inputs, `A` its attributes.
 */
export interface OpRules<I extends readonly (Value | undefined)[], A> {
  readonly name: string;
  /** Types of the outputs. @throws RangeError naming the op, what was expected and what came. */
  readonly infer: (inputs: I, attributes: A) => readonly ValueType[];
  /** Gradients of the inputs, in their order; none where the op is not differentiable or never needs to be. */
  readonly gradient?: (context: GradientContext<I, A>) => readonly (Value | undefined)[];
  /** Emits ONNX nodes that compute the outputs. */
  readonly onnx: (context: OnnxContext<I, A>) => void;
  /** Computes the outputs with TensorFlow.js. */
  readonly tfjs: (context: TfjsContext<I, A>) => tfjs.Tensor | readonly tfjs.Tensor[];
}

/** A step of the computation, or a leaf. */
export interface Node {
  /** Grows with creation, so that sorting by it is a topological order. */
  readonly id: number;
  readonly op: string;
  readonly leaf?: Leaf;
  readonly inputs: readonly Value[];
  /** What the op was given beside values; see the op's file. */
  readonly attributes?: unknown;
  readonly outputs: readonly Value[];
  /** The same op with the same attributes on other inputs of the same types. */
  readonly withInputs: (inputs: readonly Value[]) => Node;
  readonly gradient?: (
    dys: readonly (Value | undefined)[],
    wants: readonly boolean[],
  ) => readonly (Value | undefined)[];
  readonly onnx: (emit: OnnxEmitter) => void;
  readonly tfjs: (tf: Tfjs, inputs: readonly tfjs.Tensor[], size: (dim: Dim) => number) => readonly tfjs.Tensor[];
}

/** Ops that make float32 of what a weight is stored as. */
const unpacking: ReadonlySet<string> = new Set(['cast', 'dequantizeNf4']);

/**
 * Whether a node does nothing but make float32 of a stored weight. Such nodes run late, and again for the backward pass,
 * so that a model is never whole in memory in more bits than its files have.
 */
export function unpacksWeight({ op, inputs }: Node): boolean {
  return unpacking.has(op) && inputs.every(({ node }) => node.leaf?.kind === 'weight');
}

/** The name of the frozen weight that a value is, be it cast to float32. */
export function weightNameOf({ node }: Value): string | undefined {
  const { leaf } = node.op === 'cast' ? (node.inputs[0]?.node ?? node) : node;
  return leaf?.kind === 'weight' ? leaf.name : undefined;
}

let nodes = 0;

const defined = new Map<string, { readonly differentiable: boolean }>();

/** Every op that the modules loaded so far define, by name; a test sees to it that none goes untested. */
export function definedOps(): ReadonlyMap<string, { readonly differentiable: boolean }> {
  return defined;
}

/**
 * Makes the function that applies an op to values.
 * @throws RangeError when another op has the name
 */
export function defineOp<I extends readonly (Value | undefined)[], A>(
  rules: OpRules<I, A>,
): (inputs: I, attributes: A) => Node {
  if (defined.has(rules.name)) throw new RangeError(`defineOp: there are two ops named ${rules.name}`);
  defined.set(rules.name, { differentiable: rules.gradient !== undefined });
  return function apply(inputs, attributes): Node {
    const { gradient } = rules;
    const given = inputs.filter((value) => value !== undefined);
    const outputs: Value[] = [];
    const node: Node = {
      id: nodes++,
      op: rules.name,
      inputs: given,
      attributes,
      outputs,
      withInputs(others) {
        if (others.length !== given.length)
          throw new RangeError(`${rules.name} takes ${given.length} inputs, got ${others.length}`);
        return apply(others as unknown as I, attributes);
      },
      ...(gradient && {
        gradient(dys, wants) {
          const dy = dys.find((value) => value !== undefined);
          if (!dy) throw new RangeError(`${rules.name}: no output has a gradient`);
          return gradient({ inputs, attributes, outputs, dy, dys, wants: wants as unknown as EachOf<I, boolean> });
        },
      }),
      onnx(emit) {
        rules.onnx({
          inputs,
          attributes,
          outputs,
          emit,
          names: given.map((value) => emit.name(value)),
          outputNames: outputs.map((value) => emit.name(value)),
        });
      },
      tfjs(tf, tensors, size) {
        const results = rules.tfjs({ tf, inputs: tensors as unknown as EachOf<I, tfjs.Tensor>, attributes, size });
        return Array.isArray(results) ? results : [results as tfjs.Tensor];
      },
    };
    for (const [index, { dtype, shape }] of rules.infer(inputs, attributes).entries()) {
      outputs.push({ node, index, dtype, shape: shape.map(canonicalDim) });
    }
    return node;
  };
}

/** A node's output, the first by default. */
export function outputOf(node: Node, index = 0): Value {
  const value = node.outputs[index];
  if (!value) throw new RangeError(`${node.op} has ${node.outputs.length} outputs, asked for number ${index}`);
  return value;
}

function leafValue(leaf: Leaf, { dtype, shape }: ValueType): Value {
  const outputs: Value[] = [];
  const node: Node = {
    id: nodes++,
    op: leaf.kind,
    leaf,
    inputs: [],
    outputs,
    withInputs: () => node,
    onnx: () => undefined,
    tfjs: () => [],
  };
  const value: Value = { node, index: 0, dtype, shape: shape.map(canonicalDim) };
  outputs.push(value);
  return value;
}

/** A value that every run is given by name. Its axes may be symbols. */
export function input(name: string, shape: Shape, dtype: DType = 'float32'): Value {
  return leafValue({ kind: 'input', name }, { dtype, shape });
}

/** A frozen weight, found by name in the weights that the graph is compiled with. */
export function weight(name: string, shape: readonly number[], dtype: DType = 'float32'): Value {
  return leafValue({ kind: 'weight', name }, { dtype, shape });
}

/**
 * What an engine makes of a weight when it loads it: its numbers as float32; those with the last two axes reversed; the
 * second of four equal parts of them ('part 1/4'); of 3x3 kernels the 2x2 ones that they are to the pixels of every other
 * row and column of a picture interpolated to twice its size ('pixel 1/0': of odd rows and even columns); the first of the six
 * rows that 3x3 kernels become in src/graph/winograd.ts ('winograd 0/6').
 */
export type Derivation =
  | 'float32'
  | 'reversed'
  | `part ${number}/${number}`
  | `pixel ${number}/${number}`
  | `winograd ${number}/6`;

/** A float32 weight made of a weight in the files, for small ones that kernels want to know beforehand. */
export function derivedWeight(name: string, shape: readonly number[], derivation: Derivation): Value {
  return weight(`${name}#${derivation}`, shape);
}

/** The weight that a derived one is made of, by its name. */
export function derivationOf(name: string): { readonly name: string; readonly derivation: Derivation } | undefined {
  const at = name.lastIndexOf('#');
  const derivation = name.slice(at + 1);
  return at >= 0 && isDerivation(derivation) ? { name: name.slice(0, at), derivation } : undefined;
}

function isDerivation(text: string): text is Derivation {
  return text === 'float32' || text === 'reversed' || /^(part \d+\/\d+|pixel [01]\/[01]|winograd [0-5]\/6)$/.test(text);
}

/** A tensor that is part of the graph. */
export function constant(tensor: Tensor): Value {
  return leafValue({ kind: 'constant', tensor }, tensor);
}
