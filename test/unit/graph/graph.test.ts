import { describe, expect, it } from 'vitest';

import { bindInputs, concreteShape, createGraph } from '../../../src/graph/graph.ts';
import { add, cast, mul } from '../../../src/graph/ops/elementwise.ts';
import { float32, type Tensor, zeros } from '../../../src/graph/tensor.ts';
import { constant, input, weight } from '../../../src/graph/value.ts';

const x = input('x', ['B', 3]);

describe('createGraph', () => {
  it('collects what the outputs need, and nothing else', () => {
    const y = mul(add(x, weight('shift', [3])), 2);
    mul(y, input('unused', []));
    const graph = createGraph({ y });
    expect([...graph.inputs.keys()]).toEqual(['x']);
    expect([...graph.weights.keys()]).toEqual(['shift']);
    expect(graph.nodes.map((node) => node.op)).toEqual(['input', 'weight', 'add', 'constant', 'mul']);
  });

  it('lists weight casts first, so that engines make them as late as they can', () => {
    const shift = cast(weight('shift', [3], 'bfloat16'), 'float32');
    const { nodes } = createGraph({ y: mul(add(x, cast(shift, 'float32')), 2) });
    expect(nodes[0]?.op).toBe('cast');
  });

  it('takes one input from several places', () => {
    const { inputs } = createGraph({ y: add(x, input('x', ['B', 3])) });
    expect(inputs.size).toBe(1);
  });

  it('refuses one name for two things', () => {
    expect(() => createGraph({ y: x, z: input('x', [3]) })).toThrow(
      'input x is float32 [B, 3] in one place and float32 [3]',
    );
    expect(() => createGraph({ y: add(x, weight('x', [3])) })).toThrow('x is both an input and a weight');
    expect(() => createGraph({ x: add(x, 1) })).toThrow('the output x is named as an input or weight is');
    expect([...createGraph({ x }).outputs.keys()]).toEqual(['x']);
  });
});

describe('bindInputs', () => {
  const image = input('image', ['B', 3, '32*H', '32*W']);
  const tokens = input('tokens', ['B', 'H*W']);
  const graph = createGraph({ tokens, image, steps: input('steps', ['B'], 'int64') });
  const feeds = {
    image: zeros('float32', [2, 3, 64, 96]),
    tokens: zeros('float32', [2, 6]),
    steps: zeros('int64', [2]),
  };

  it('finds what the symbols stand for', () => {
    expect(bindInputs(graph, feeds)).toMatchObject({ B: 2, H: 2, W: 3 });
    expect(concreteShape(mul(image, 2), bindInputs(graph, feeds))).toEqual([2, 3, 64, 96]);
  });

  it.each<[string, Readonly<Record<string, Tensor>>, string]>([
    [
      'a missing input',
      { image: feeds.image, tokens: feeds.tokens },
      "input 'steps' is missing; expected is int64 [B]",
    ],
    [
      'an unknown one',
      { ...feeds, noise: float32([], [0]) },
      "'noise' is fed and is no input of the graph; its inputs are: ",
    ],
    ['another dtype', { ...feeds, steps: zeros('int32', [2]) }, "input 'steps' is int32 [2]; expected is int64 [B]"],
    [
      'another rank',
      { ...feeds, tokens: zeros('float32', [12]) },
      "input 'tokens' is float32 [12]; expected is float32 [B, H*W]",
    ],
    [
      'another size',
      { ...feeds, image: zeros('float32', [2, 4, 64, 96]) },
      "input 'image' [B, 3, 32*H, 32*W] is fed [2, 4, 64, 96]: an axis of size 3 got 4",
    ],
    [
      'no multiple',
      { ...feeds, image: zeros('float32', [2, 3, 64, 90]) },
      'an axis of size 32*W got 90; W would be 2.8125',
    ],
    ['sizes that contradict each other', { ...feeds, steps: zeros('int64', [3]) }, 'an axis of size B (B = '],
    [
      'a product that is none, whatever the order',
      { ...feeds, tokens: zeros('float32', [2, 5]) },
      'an axis of size H*W (H = 2, W = 3) got 5',
    ],
  ])('refuses %s', (_, wrong, message) => {
    expect(() => bindInputs(graph, wrong)).toThrow(message);
  });

  it('says that a graph has no inputs', () => {
    const empty = createGraph({ one: constant(float32([], [1])) });
    expect(() => bindInputs(empty, { x: float32([], [1]) })).toThrow('its inputs are: none');
  });
});
