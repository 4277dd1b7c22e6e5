import { describe, expect, it } from 'vitest';

import { gradients } from '../../../../src/graph/gradients.ts';
import { createGraph, type Graph } from '../../../../src/graph/graph.ts';
import { ModelProto } from '../../../../src/graph/onnx/schema.ts';
import { type FedSize, serialize, type SerializeOptions } from '../../../../src/graph/onnx/serialize.ts';
import { expand, reduceSum, reshape } from '../../../../src/graph/ops/broadcast.ts';
import { add, cast, mul } from '../../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../../src/graph/ops/matmul.ts';
import { reduceMean } from '../../../../src/graph/ops/reduce.ts';
import { float32 } from '../../../../src/graph/tensor.ts';
import { constant, input, type Value, weight } from '../../../../src/graph/value.ts';

interface Node {
  readonly opType: string;
  readonly domain: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
}

interface Decoded {
  readonly node: readonly Node[];
  readonly initializer: readonly {
    readonly name: string;
    readonly dims: readonly string[];
    readonly dataType: number;
    readonly dataLocation: number;
    readonly rawData: Uint8Array;
    readonly externalData: readonly { readonly key: string; readonly value: string }[];
  }[];
  readonly input: readonly { readonly name: string; readonly type: object }[];
  readonly output: readonly { readonly name: string; readonly type: object }[];
}

function decode(graph: Graph, options: Partial<SerializeOptions> = {}): Decoded {
  const bytes = serialize(graph, {
    dialect: { contribOps: true },
    weight: (name) => float32([2], [name.length, 0]),
    ...options,
  });
  const model = ModelProto.toObject(ModelProto.decode(bytes), { longs: String, defaults: true }) as unknown;
  return (model as { readonly graph: Decoded }).graph;
}

/** Node types in the order in which they stand in the file. */
function types(graph: Graph, options: Partial<SerializeOptions> = {}): readonly string[] {
  return decode(graph, options).node.map(({ opType }) => opType);
}

function sum(x: Value): Value {
  return reduceSum(
    x,
    x.shape.map((_, axis) => axis),
    false,
  );
}

const x = input('x', ['B', 2]);

describe('serialize', () => {
  it('names inputs and outputs, and gives their types', () => {
    const { input: inputs, output: outputs } = decode(createGraph({ y: add(x, 1) }));
    const type = { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'B' }, { dimValue: '2' }] } } };
    expect(inputs).toMatchObject([{ name: 'x', type }]);
    expect(outputs).toMatchObject([{ name: 'y', type }]);
  });

  it('lists nodes after what they use', () => {
    const h = mul(add(x, 1), x);
    const { node, initializer } = decode(createGraph({ y: sum(mul(h, h)), h }));
    const known = new Set(['x', ...initializer.map(({ name }) => name)]);
    for (const { input: names, output } of node) {
      expect(names.filter((name) => !known.has(name))).toEqual([]);
      for (const name of output) known.add(name);
    }
  });

  it('puts weight casts first and what nothing else uses last', () => {
    const w = cast(weight('w', [2], 'bfloat16'), 'float32');
    const a = input('a', [2]);
    const h = mul(mul(x, a), w);
    const loss = sum(mul(h, h));
    const [da] = gradients(loss, [a]);
    if (!da) throw new Error('no gradient');
    const order = types(createGraph({ loss, da }));
    expect(order[0]).toBe('Cast');
    expect(order.slice(-2)).toEqual(['Reshape', 'Reshape']); // the loss, and the gradient, of their shapes
  });

  it('gives an output of two names, and an input or constant as output, a copy', () => {
    const y = add(x, 1);
    const { node, output } = decode(createGraph({ y, again: y, x, same: x, one: constant(float32([1], [1])) }));
    expect(output.map(({ name }) => name)).toEqual(['y', 'again', 'x', 'same', 'one']);
    expect(node.filter(({ opType }) => opType === 'Identity')).toMatchObject([
      { input: ['y'], output: ['again'] },
      { input: ['x'], output: ['same'] },
      { output: ['one'] },
    ]);
  });

  it('points into files for weights that are in files', () => {
    const graph = createGraph({ y: add(x, weight('w', [2])) });
    const { initializer } = decode(graph, {
      weight: () => ({ location: 'unet/model.safetensors', offset: 2 ** 33 + 4, length: 8 }),
    });
    expect(initializer).toMatchObject([
      {
        name: 'w',
        dims: ['2'],
        dataType: 1,
        dataLocation: 1,
        externalData: [
          { key: 'location', value: 'unet/model.safetensors' },
          { key: 'offset', value: '8589934596' },
          { key: 'length', value: '8' },
        ],
      },
    ]);
  });

  it('stores the bytes of others, equal constants once', () => {
    const y = mul(add(mul(x, 3), 3), weight('w', [2]));
    const { initializer } = decode(createGraph({ y }));
    expect(initializer).toHaveLength(2);
    const bytes = initializer.find(({ name }) => name === 'w')?.rawData ?? new Uint8Array();
    expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual([1, 0]);
  });

  it('stores a weight that two values read once', () => {
    const y = add(add(x, weight('w', [2])), weight('w', [2]));
    expect(decode(createGraph({ y })).initializer.map(({ name }) => name)).toEqual(['w']);
  });

  it("does not confuse a value with an input of the file's own names", () => {
    const names = ['v0', 'v1', 't0', 't1', 'c0', 'c1', 'c0_0'];
    const total = names.map((name) => input(name, ['B'])).reduce((left, right) => add(left, mul(right, 2)));
    const { node, initializer } = decode(createGraph({ v2: expand(total, [3, 'B']) }));
    const made = [...names, ...initializer.map(({ name }) => name), ...node.flatMap(({ output }) => output)];
    expect(new Set(made).size).toBe(made.length);
  });

  it('writes products with flags for kernels that know them, and Gemm or transposes for others', () => {
    const options = { weight: () => float32([3, 2], new Float32Array(6)) };
    const plain = { ...options, dialect: { contribOps: false } };
    const w = weight('w', [3, 2]);
    const graph = createGraph({ y: matMul(x, w, { transB: true }) });
    expect(decode(graph, options).node).toMatchObject([{ opType: 'FusedMatMul', domain: 'com.microsoft' }]);
    expect(types(graph, plain)).toEqual(['Gemm']);
    // The rows of all samples are one matrix.
    const many = input('many', ['B', 4, 2]);
    expect(types(createGraph({ y: matMul(many, w, { transB: true }) }), plain)).toEqual([
      'Reshape',
      'Gemm',
      'Shape',
      'Concat',
      'Reshape',
    ]);
    expect(types(createGraph({ y: matMul(many, many, { transB: true }) }), plain)).toEqual(['Transpose', 'MatMul']);
  });

  it('lets the caller feed sizes where it is told to, so that no node works them out', () => {
    const sizes: FedSize[] = [];
    const image = input('image', ['B', 2, 'H', 'W']);
    const mean = reduceMean(image, [2, 3]);
    const graph = createGraph({ y: gradients(sum(mean), [image])[0] ?? image, image });
    const { node, input: inputs } = decode(graph, { onSize: (size) => sizes.push(size) });
    expect(sizes).toEqual([
      { name: '%int64 B,2,1,1', dtype: 'int64', dims: ['B', 2, 1, 1] },
      { name: '%float32 H*W', dtype: 'float32', dims: ['H*W'] },
      { name: '%int64 B,2,H,W', dtype: 'int64', dims: ['B', 2, 'H', 'W'] },
    ]);
    expect(inputs.map(({ name }) => name)).toEqual(['image', ...sizes.map(({ name }) => name)]);
    expect(new Set(node.map(({ opType }) => opType))).toEqual(new Set(['Reshape', 'Expand', 'Identity', 'Div']));
  });

  it('reads sizes off inputs only where a shape cannot be written down', () => {
    const image = input('image', ['B', 3, '32*H', 'W']);
    expect(types(createGraph({ y: reshape(image, ['B', '96*H*W']) }))).toEqual(['Reshape']);
    expect(types(createGraph({ y: reshape(image, ['B', 3, 'H', 32, 'W']) }))).toEqual([
      'Shape', // B
      'Shape', // 32*H
      'Div',
      'Shape', // W
      'Concat',
      'Reshape',
    ]);
    const longer = input('longer', ['T+1']);
    expect(types(createGraph({ y: expand(input('z', [1]), ['T']), longer }))).toContain('Sub');
  });

  it('refuses a size that no input tells', () => {
    expect(() => decode(createGraph({ y: expand(x, ['T', 'B', 2]) }))).toThrow(
      "the size 'T' is on no axis of an input",
    );
  });
});
