import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createTfjsEngine } from '../../../src/engine/tfjs.ts';
import { UserError } from '../../../src/errors.ts';
import { gradients } from '../../../src/graph/gradients.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { silu, softmax } from '../../../src/graph/ops/activation.ts';
import { expand, reshape } from '../../../src/graph/ops/broadcast.ts';
import { conv2d } from '../../../src/graph/ops/conv.ts';
import { add, cast, mul } from '../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { split } from '../../../src/graph/ops/movement.ts';
import { layerNorm } from '../../../src/graph/ops/normalization.ts';
import { reduceMean } from '../../../src/graph/ops/reduce.ts';
import { float32, fromFloat32, tensor, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { constant, input, weight } from '../../../src/graph/value.ts';
import { openSafetensors, type TensorLocation, type Weights, writeSafetensors } from '../../../src/io/safetensors.ts';
import { createRandom } from '../../../src/random.ts';
import { plainTfjs as tf } from '../../plain-tfjs.ts';

const x = input('x', ['B', 2]);
const twice = createGraph({ y: mul(x, 2) });
const engine = createTfjsEngine({ tf, backend: 'cpu' });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-tfjs-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe('createTfjsEngine', () => {
  it('runs a graph for any size of its symbols, and keeps what it was fed', async () => {
    const executable = await engine.compile(twice, new Map());
    const fed = float32([2, 2], [1, 2, 3, 4]);
    expect(await executable.run({ x: fed })).toEqual({ y: float32([2, 2], [2, 4, 6, 8]) });
    expect(await executable.run({ x: float32([1, 2], [5, 6]) })).toEqual({ y: float32([1, 2], [10, 12]) });
    expect(fed).toEqual(float32([2, 2], [1, 2, 3, 4]));
  });

  it('binds sizes that are multiples or products of symbols', async () => {
    const [image, tokens] = [input('image', ['2*H', 'W']), input('tokens', ['H*W', 1])];
    const y = reshape(image, ['H', 2, 'W']);
    const executable = await engine.compile(createGraph({ y, z: expand(tokens, ['H*W', 'W']) }), new Map());
    const outs = await executable.run({
      image: float32([2, 3], [1, 2, 3, 4, 5, 6]),
      tokens: float32([3, 1], [1, 2, 3]),
    });
    expect(outs['y']?.shape).toEqual([1, 2, 3]);
    expect(outs['z']).toEqual(float32([3, 3], [1, 1, 1, 2, 2, 2, 3, 3, 3]));
    const whole = await engine.compile(createGraph({ y: expand(input('x', ['H*W', 1]), ['H*W', 2]) }), new Map());
    expect(await whole.run({ x: float32([2, 1], [5, 6]) })).toEqual({ y: float32([2, 2], [5, 5, 6, 6]) });
  });

  it('gives outputs that are inputs, constants, weights or used twice, in memory of their own', async () => {
    const y = add(x, 1);
    const graph = createGraph({
      y,
      again: y,
      x,
      same: reshape(x, [2, 'B']),
      one: constant(float32([1], [1])),
      w: weight('w', [1]),
    });
    const executable = await engine.compile(graph, new Map([['w', float32([1], [7])]]));
    const fed = float32([1, 2], [1, 2]);
    const outs = await executable.run({ x: fed });
    const sum = float32([1, 2], [2, 3]);
    const copy = float32([2, 1], [1, 2]);
    expect(outs).toEqual({ y: sum, again: sum, x: fed, same: copy, one: float32([1], [1]), w: float32([1], [7]) });
    for (const out of Object.values(outs)) toFloat32(out).fill(0);
    expect((await executable.run({ x: fed }))['w']).toEqual(float32([1], [7]));
    expect(fed).toEqual(float32([1, 2], [1, 2]));
  });

  it.each<readonly [string, Tensor]>([
    ['float64', tensor('float64', [2], Float64Array.of(1, 2))],
    ['float16', tensor('float16', [2], Uint16Array.of(0x3c00, 0xc000))],
    ['bfloat16', tensor('bfloat16', [2], Uint16Array.of(0x3f80, 0xc000))],
    ['int64', tensor('int64', [2], BigInt64Array.of(1n, -2n))],
    ['int32', tensor('int32', [2], Int32Array.of(1, -2))],
    ['int8', tensor('int8', [2], Int8Array.of(1, -2))],
    ['uint8', tensor('uint8', [2], Uint8Array.of(1, 254))],
    ['bool', tensor('bool', [2], Uint8Array.of(1, 0))],
  ])('passes %s through', async (_, value) => {
    const graph = createGraph({ y: reshape(input('x', ['N'], value.dtype), ['N', 1]) });
    const executable = await engine.compile(graph, new Map());
    expect(await executable.run({ x: value })).toEqual({ y: { ...value, shape: [2, 1] } });
  });

  it('reads weights of any float dtype, from files and memory, in the shape that the graph reads', async () => {
    const path = join(folder, 'model.safetensors');
    const [half, brain] = [Float32Array.of(0.5, 2), Float32Array.of(1, -4)];
    await writeSafetensors(path, [
      ['half', fromFloat32('float16', [2], half)],
      ['brain', fromFloat32('bfloat16', [1, 2], brain)],
    ]);
    const y = add(
      mul(x, cast(weight('half', [2], 'float16'), 'float32')),
      cast(weight('brain', [2], 'bfloat16'), 'float32'),
    );
    const { tensors } = await openSafetensors(path);
    const weights: Weights = new Map<string, TensorLocation | Tensor>([...tensors, ['full', float32([2], [10, 20])]]);
    const executable = await engine.compile(createGraph({ y: add(y, weight('full', [2])) }), weights);
    expect(await executable.run({ x: float32([1, 2], [1, 1]) })).toEqual({ y: float32([1, 2], [11.5, 18]) });
    await expect(engine.compile(createGraph({ y: weight('other', [2]) }), weights)).rejects.toThrow(
      'The weight other is missing',
    );
  });

  it('keeps weights and constants between runs, and nothing else; and after dispose nothing', async () => {
    const before = tf.memory().numTensors;
    const w = weight('w', [4, 4]);
    const a = input('a', [4, 4]);
    const h = layerNorm(matMul(input('h', ['N', 4]), add(w, a)), 1e-6);
    const [left = h, right = h] = split(silu(h), 1, [2, 2]); // the other half of the split's gradient is zeros
    const image = conv2d(reshape(left, [1, 2, 'N', 1]), weight('kernel', [2, 1, 1, 1]), { groups: 2 });
    const loss = reduceMean(mul(softmax(reshape(image, ['N', 2])), right), undefined, false);
    const [da = loss] = gradients(loss, [a]);
    const random = createRandom(1);
    const weights: Weights = new Map([
      ['w', float32([4, 4], random.normals(16))],
      ['kernel', float32([2, 1, 1, 1], [1, 2])],
    ]);
    const graph = createGraph({ loss, da });
    const executable = await engine.compile(graph, weights);
    const kept = tf.memory().numTensors;
    const constants = graph.nodes.filter(({ leaf }) => leaf?.kind === 'constant').length;
    expect(kept - before).toBe(2 + constants);
    const feeds = { h: float32([3, 4], random.normals(12)), a: float32([4, 4], random.normals(16)) };
    await executable.run(feeds);
    await Promise.all([executable.run(feeds), executable.run(feeds)]);
    expect(tf.memory().numTensors).toBe(kept);
    await executable.dispose();
    await executable.dispose();
    expect(tf.memory().numTensors).toBe(before);
    await expect(executable.run(feeds)).rejects.toThrow('the graph was disposed of');
  });

  it('frees a tensor after its last use', async () => {
    let h = mul(x, 2);
    for (let i = 0; i < 20; i++) h = add(mul(h, x), h);
    const executable = await engine.compile(createGraph({ h }), new Map());
    const before = tf.memory().numTensors;
    let most = 0;
    const counting: typeof tf = {
      ...tf,
      tidy(name, work) {
        most = Math.max(most, tf.memory().numTensors);
        return tf.tidy(name, work);
      },
    };
    await executable.dispose();
    const counted = createTfjsEngine({ tf: counting, backend: 'cpu' });
    await (await counted.compile(createGraph({ h }), new Map())).run({ x: float32([1, 2], [0.1, 0.2]) });
    await counted.close();
    expect(most - before).toBeLessThanOrEqual(4); // x, h, their product and a constant
  });

  it('leaves nothing behind when an op fails, and says which', async () => {
    const failing: typeof tf = {
      ...tf,
      softmax: () => {
        throw new Error('no such thing');
      },
    };
    const other = createTfjsEngine({ tf: failing, backend: 'cpu' });
    const executable = await other.compile(createGraph({ y: softmax(mul(x, 2)) }), new Map());
    const kept = tf.memory().numTensors;
    await expect(executable.run({ x: float32([1, 2], [1, 2]) })).rejects.toThrow(
      'tfjs: softmax of [1, 2]: no such thing',
    );
    expect(tf.memory().numTensors).toBe(kept);
    await expect(executable.run({})).rejects.toThrow("input 'x' is missing");
    await other.close();
  });

  it('runs requests in the order they came, and none after it is closed', async () => {
    const other = createTfjsEngine({ tf, backend: 'cpu' });
    const before = tf.memory().numTensors;
    const executable = await other.compile(twice, new Map());
    const done: number[] = [];
    const runs = [1, 2, 3].map(async (i) => {
      await executable.run({ x: float32([1, 2], [i, i]) });
      done.push(i);
    });
    await Promise.all(runs);
    expect(done).toEqual([1, 2, 3]);
    await other.close();
    expect(tf.memory().numTensors).toBe(before);
    await expect(executable.run({ x: float32([1, 2], [1, 2]) })).rejects.toThrow('the engine was closed');
    await expect(other.compile(twice, new Map())).rejects.toThrow('the engine was closed');
  });

  it('lets timers run while it computes', async () => {
    let h = input('h', [64, 64]);
    for (let i = 0; i < 40; i++) h = matMul(h, h);
    const executable = await engine.compile(createGraph({ y: h }), new Map());
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await executable.run({ h: float32([64, 64], new Float32Array(64 ** 2).fill(1 / 64)) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });

  it('loads packages, and says what to do about one that is missing, broken or of another kind', async () => {
    const packages = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu'];
    const loaded = createTfjsEngine({ packages, backend: 'cpu' });
    const executable = await loaded.compile(twice, new Map());
    expect(await executable.run({ x: float32([1, 2], [1, 2]) })).toEqual({ y: float32([1, 2], [2, 4]) });
    await loaded.close();

    const missing = createTfjsEngine({ packages: ['@tensorflow/tfjs-node-nowhere'] });
    await expect(missing.compile(twice, new Map())).rejects.toThrow(
      new UserError(
        'The package @tensorflow/tfjs-node-nowhere is not installed; run npm install @tensorflow/tfjs-node-nowhere, or use the onnxruntime engine, which needs no other package.',
      ),
    );
    const other = createTfjsEngine({ packages: ['zod'] });
    await expect(other.compile(twice, new Map())).rejects.toThrow('The package zod is not TensorFlow.js');
    const unknown = createTfjsEngine({ tf, backend: 'abacus' });
    await expect(unknown.compile(twice, new Map())).rejects.toThrow(
      "TensorFlow.js has no backend 'abacus' that works here",
    );
  });
});
