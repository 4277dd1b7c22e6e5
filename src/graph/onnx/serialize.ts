import { dimTerms, linearIn, type Shape } from '../dim.ts';
import type { Graph } from '../graph.ts';
import { onnxType } from '../ops/elementwise.ts';
import { tensor, tensorBytes, type Tensor } from '../tensor.ts';
import type { Value } from '../value.ts';
import type { OnnxAttribute, OnnxDialect, OnnxEmitter } from './emitter.ts';
import { ModelProto } from './schema.ts';

/** Where in which file a weight's bytes are; the path is relative to the folder that the engine is told. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** An input of the model that is none of the graph: a shape, or one size as a number, that the caller works out. */
export interface FedSize {
  readonly name: string;
  /** int64 [n] for a shape of n axes; float32 [] for a size. */
  readonly dtype: 'int64' | 'float32';
  readonly dims: Shape;
}

/** What `serialize` needs beside the graph. */
export interface SerializeOptions {
  readonly dialect: OnnxDialect;
  /**
   * Told of each size that depends on the inputs' sizes, which the caller then feeds. Without it the model works them out
   * itself, by nodes that only the CPU has kernels for.
   */
  readonly onSize?: (size: FedSize) => void;
  /** A weight's bytes, or where they are. */
  readonly weight: (name: string) => Tensor | ExternalData;
}

// protobufjs calls int64 attributes' type 2 and so on by number: AttributeProto.AttributeType.
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const INTS = 7;
const EXTERNAL = 1; // TensorProto.DataLocation

// Begins the names given here, so that no input, weight or output is called the same.
const RESERVED = '%';

// The newest operator set whose CPU kernels of all our ops are in onnxruntime: Gelu came with 20.
const OPSET = 20;

/**
 * The graph as an ONNX model.
 *
 * onnxruntime runs nodes in reverse depth-first order from the last leaf, preferring parents that come later in the
 * file. So that a training graph frees activations as its backward pass goes, nodes are listed as what unpacks weights,
 * forward, recomputation, backward, and last the gradients that nothing else uses, first layer to last.
 */
export function serialize(graph: Graph, { dialect, weight, onSize }: SerializeOptions): Uint8Array {
  const initializers: object[] = [];
  const fedSizes: object[] = [];
  const nodes: object[] = [];
  const names = new Map<Value, string>();
  const stored = new Map<string, string>();
  const sizes = new Map<string, string>();
  let temporaries = 0;

  // A value that ops compute carries the name of the output that it is; a second output of it is a copy.
  const outputs = [...graph.outputs];
  for (const [name, value] of outputs) if (!value.node.leaf && !names.has(value)) names.set(value, name);
  const used = new Set(graph.nodes.flatMap((node) => node.inputs.map((value) => value.node)));
  const final = outputs.map(([, value]) => value.node).filter((node) => !used.has(node) && !node.leaf);
  const order = [...graph.nodes.filter((node) => !final.includes(node)), ...new Set(final)];

  function constantNamed(name: string, { dtype, shape, data }: Tensor): void {
    initializers.push({ name, dataType: onnxType(dtype), dims: shape, rawData: tensorBytes({ dtype, shape, data }) });
  }

  const emit: OnnxEmitter = {
    dialect,
    name(value) {
      let name = names.get(value);
      if (name === undefined) {
        name = `${RESERVED}v${names.size}`;
        names.set(value, name);
      }
      return name;
    },
    temporary: () => `${RESERVED}t${temporaries++}`,
    node(opType, input, output, attributes = {}, domain = '') {
      nodes.push({
        opType,
        input,
        output,
        domain,
        name: `${opType}_${nodes.length}`,
        attribute: Object.entries(attributes).map(attributeProto),
      });
    },
    constant(value) {
      const key = value.data.length <= 4096 ? `${value.dtype}[${value.shape.join()}]${value.data.join()}` : undefined;
      const known = key === undefined ? undefined : stored.get(key);
      if (known !== undefined) return known;
      const name = `${RESERVED}c${initializers.length}`;
      constantNamed(name, value);
      if (key !== undefined) stored.set(key, name);
      return name;
    },
    int64: (values) => emit.constant(tensor('int64', [values.length], BigInt64Array.from(values, BigInt))),
    shape(shape) {
      const numbers = shape.filter((dim) => typeof dim === 'number');
      if (numbers.length === shape.length) return emit.int64(numbers);
      if (onSize) return fed('int64', shape);
      if (shape.length === 1 && shape[0] !== undefined) return emit.size(shape[0]);
      const key = `shape ${shape.join()}`;
      let name = sizes.get(key);
      if (name === undefined) {
        name = emit.temporary();
        emit.node('Concat', shape.map(emit.size), [name], { axis: 0 });
        sizes.set(key, name);
      }
      return name;
    },
    size(dim) {
      if (typeof dim === 'number') return emit.int64([dim]);
      if (onSize) return fed('int64', [dim]);
      let name = sizes.get(dim);
      if (name === undefined) {
        name = sizeFromInputs(dim) ?? sizeFromTerms(dim);
        sizes.set(dim, name);
      }
      return name;
    },
    scalarSize(dim, out) {
      if (onSize) {
        emit.node('Identity', [fed('float32', [dim])], [out]);
        return;
      }
      const flat = emit.temporary();
      emit.node('Cast', [emit.size(dim)], [flat], { to: onnxType('float32') });
      emit.node('Reshape', [flat, emit.int64([])], [out]);
    },
  };

  function fed(dtype: FedSize['dtype'], dims: Shape): string {
    const name = `${RESERVED}${dtype} ${dims.join()}`;
    if (!sizes.has(name)) {
      sizes.set(name, name);
      fedSizes.push(valueInfo(name, dtype, dtype === 'int64' ? [dims.length] : []));
      onSize?.({ name, dtype, dims });
    }
    return name;
  }

  /** A size that is an axis of an input is read off it. */
  function sizeFromInputs(dim: string): string | undefined {
    for (const value of graph.inputs.values()) {
      const axis = value.shape.indexOf(dim);
      if (axis < 0) continue;
      const out = emit.temporary();
      emit.node('Shape', [emit.name(value)], [out], { start: axis, end: axis + 1 });
      return out;
    }
    return undefined;
  }

  function combine(opType: 'Mul' | 'Add' | 'Sub' | 'Div', parts: readonly string[]): string {
    return parts.reduce((left, right) => {
      const out = emit.temporary();
      emit.node(opType, [left, right], [out]);
      return out;
    });
  }

  function sizeFromTerms(dim: string): string {
    const terms = dimTerms(dim);
    const [only] = terms;
    if (terms.length === 1 && only && only.symbols.length === 1 && only.coefficient === 1) return sizeOfSymbol(dim);
    const products = terms.map(({ coefficient, symbols }) =>
      combine('Mul', [
        ...(coefficient === 1 && symbols.length > 0 ? [] : [emit.int64([coefficient])]),
        ...symbols.map((symbol) => emit.size(symbol)),
      ]),
    );
    return combine('Add', products);
  }

  /** A symbol that stands alone on no input is found through a size linear in it, as H through the 32*H of an image. */
  function sizeOfSymbol(symbol: string): string {
    for (const value of graph.inputs.values()) {
      for (const dim of value.shape) {
        const linear = linearIn(dim, symbol);
        if (!linear) continue;
        const multiple =
          linear.offset === 0 ? emit.size(dim) : combine('Sub', [emit.size(dim), emit.int64([linear.offset])]);
        return linear.slope === 1 ? multiple : combine('Div', [multiple, emit.int64([linear.slope])]);
      }
    }
    throw new RangeError(`serialize: the size '${symbol}' is on no axis of an input`);
  }

  for (const [name, value] of graph.inputs) names.set(value, name);
  for (const node of graph.nodes) {
    const {
      leaf,
      outputs: [value],
    } = node;
    if (!leaf || !value) continue;
    if (leaf.kind === 'input') {
      names.set(value, leaf.name);
    } else if (leaf.kind === 'constant') {
      names.set(value, emit.constant(leaf.tensor));
    } else if (stored.has(`weight ${leaf.name}`)) {
      names.set(value, leaf.name);
    } else {
      stored.set(`weight ${leaf.name}`, leaf.name);
      names.set(value, leaf.name);
      const source = weight(leaf.name);
      const dims = value.shape.map(Number);
      if ('data' in source) {
        constantNamed(leaf.name, { ...source, shape: dims });
      } else {
        initializers.push({
          name: leaf.name,
          dataType: onnxType(value.dtype),
          dims,
          dataLocation: EXTERNAL,
          externalData: Object.entries(source).map(([key, entry]) => ({ key, value: `${entry}` })),
        });
      }
    }
  }
  for (const node of order) if (!node.leaf) node.onnx(emit);

  for (const [name, value] of outputs) if (emit.name(value) !== name) emit.node('Identity', [emit.name(value)], [name]);
  return ModelProto.encode({
    irVersion: 10,
    producerName: 'sana-train',
    opsetImport: [
      { domain: '', version: OPSET },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'graph',
      node: nodes,
      initializer: initializers,
      input: [...[...graph.inputs].map(([name, value]) => valueInfo(name, value.dtype, value.shape)), ...fedSizes],
      output: outputs.map(([name, value]) => valueInfo(name, value.dtype, value.shape)),
    },
  }).finish();
}

function valueInfo(name: string, dtype: Value['dtype'], shape: Shape): object {
  const dim = shape.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: onnxType(dtype), shape: { dim } } } };
}

function attributeProto([name, value]: readonly [string, OnnxAttribute]): object {
  if (typeof value === 'number') return { name, i: value, type: INT };
  if (typeof value === 'string') return { name, s: new TextEncoder().encode(value), type: STRING };
  if ('float' in value) return { name, f: value.float, type: FLOAT };
  return { name, ints: value, type: INTS };
}
