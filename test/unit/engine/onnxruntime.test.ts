import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { UserError } from '../../../src/errors.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { reshape } from '../../../src/graph/ops/broadcast.ts';
import { add, cast, mul } from '../../../src/graph/ops/elementwise.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { float32, fromFloat32, tensor, type Tensor } from '../../../src/graph/tensor.ts';
import { constant, input, weight } from '../../../src/graph/value.ts';
import { openSafetensors, type Weights, writeSafetensors } from '../../../src/io/safetensors.ts';

const x = input('x', ['B', 2]);
const twice = createGraph({ y: mul(x, 2) });

const engine = createOnnxruntimeEngine({ threads: 1 });
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-engine-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe('createOnnxruntimeEngine', () => {
  it('runs a graph for any size of its symbols, and keeps what it was fed', async () => {
    const executable = await engine.compile(twice, new Map());
    const fed = float32([2, 2], [1, 2, 3, 4]);
    expect(await executable.run({ x: fed })).toEqual({ y: float32([2, 2], [2, 4, 6, 8]) });
    expect(await executable.run({ x: float32([1, 2], [5, 6]) })).toEqual({ y: float32([1, 2], [10, 12]) });
    expect(fed).toEqual(float32([2, 2], [1, 2, 3, 4]));
  });

  it('takes views of larger and of shared memory', async () => {
    const executable = await engine.compile(twice, new Map());
    const large = Float32Array.from({ length: 100 }, (_, i) => i);
    const y = float32([1, 2], [20, 22]);
    expect(await executable.run({ x: float32([1, 2], large.subarray(10, 12)) })).toEqual({ y });
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([10, 11]);
    expect(await executable.run({ x: float32([1, 2], shared) })).toEqual({ y });
  });

  it('computes the same in memory that was given back, which is empty from then on', async () => {
    const [a, b] = [input('a', [2]), input('b', ['B', 1])];
    const executable = await engine.compile(createGraph({ sum: add(a, 1), product: mul(a, b) }), new Map());
    const run = (value: number, rows: number): Promise<Record<string, Tensor>> =>
      executable.run({ a: float32([2], [value, 2]), b: float32([rows, 1], Array<number>(rows).fill(10)) });
    const first = await run(1, 1);
    expect(first.sum).toEqual(float32([2], [2, 3]));
    executable.recycle?.(first);
    const second = await run(5, 2);
    expect(second).toEqual({ sum: float32([2], [6, 3]), product: float32([2, 2], [50, 20, 50, 20]) });
    executable.recycle?.(second);
    const third = await run(7, 1);
    expect(third).toEqual({ sum: float32([2], [8, 3]), product: float32([1, 2], [70, 20]) });
    expect(second.sum?.data).toHaveLength(0);
    // Their shape is not always the same, and their memory their own.
    expect(second.product).toEqual(float32([2, 2], [50, 20, 50, 20]));
    expect((await run(1, 1)).sum).toEqual(float32([2], [2, 3]));
    expect(third.sum).toEqual(float32([2], [8, 3])); // not given back
  });

  it('gives outputs that are inputs, constants, weights or used twice', async () => {
    const y = add(x, 1);
    const graph = createGraph({ y, again: y, x, same: x, one: constant(float32([1], [1])), w: weight('w', [1]) });
    const executable = await engine.compile(graph, new Map([['w', float32([1], [7])]]));
    const fed = float32([1, 2], [1, 2]);
    const sum = float32([1, 2], [2, 3]);
    const outs = await executable.run({ x: fed });
    expect(outs).toEqual({ y: sum, again: sum, x: fed, same: fed, one: float32([1], [1]), w: float32([1], [7]) });
    const a = input('a', [2]);
    const fixed = await engine.compile(
      createGraph({ a, same: a, sum: add(a, a), shaped: reshape(a, [2, 1]) }),
      new Map(),
    );
    const given = float32([2], [1, 2]);
    const shaped = float32([2, 1], [1, 2]);
    expect(await fixed.run({ a: given })).toEqual({ a: given, same: given, sum: float32([2], [2, 4]), shaped });
  });

  it.each<readonly [string, Tensor]>([
    ['float64', tensor('float64', [2], Float64Array.of(1, 2))],
    ['float16', tensor('float16', [2], Uint16Array.of(0x3c00, 0xc000))],
    ['int64', tensor('int64', [2], BigInt64Array.of(1n, -(2n ** 40n)))],
    ['int32', tensor('int32', [2], Int32Array.of(1, -2))],
    ['int8', tensor('int8', [2], Int8Array.of(1, -2))],
    ['uint8', tensor('uint8', [2], Uint8Array.of(1, 254))],
    ['bool', tensor('bool', [2], Uint8Array.of(1, 0))],
  ])('passes %s through', async (_, value) => {
    const graph = createGraph({ y: reshape(input('x', ['N'], value.dtype), ['N', 1]) });
    const executable = await engine.compile(graph, new Map());
    expect(await executable.run({ x: value })).toEqual({ y: { ...value, shape: [2, 1] } });
  });

  it('runs requests in the order they came', async () => {
    const executable = await engine.compile(twice, new Map());
    const done: number[] = [];
    const runs = [1, 2, 3, 4].map(async (i) => {
      const { y } = await executable.run({ x: float32([1, 2], [i, i]) });
      done.push(Number(y?.data[0]) / 2);
    });
    await Promise.all(runs);
    expect(done).toEqual([1, 2, 3, 4]);
  });

  it('rejects with a sentence, and goes on', async () => {
    const executable = await engine.compile(twice, new Map());
    await expect(executable.run({})).rejects.toThrow("input 'x' is missing; expected is float32 [B, 2]");
    await expect(executable.run({ x: float32([2], [1, 2]) })).rejects.toThrow("input 'x' is float32 [2]");
    await expect(executable.run({ x: float32([0, 2], []) })).rejects.toThrow('an axis of size B got 0; B would be 0');
    // What only the runtime sees: a file that has become shorter since its header was read.
    const path = join(folder, 'short.safetensors');
    await writeSafetensors(path, [['w', float32([2], [1, 2])]]);
    const { tensors } = await openSafetensors(path);
    await truncate(path, 40);
    const graph = createGraph({ y: mul(x, weight('w', [2])) });
    await expect(engine.compile(graph, tensors)).rejects.toThrow('onnxruntime: ');
    expect(await executable.run({ x: float32([1, 2], [1, 2]) })).toEqual({ y: float32([1, 2], [2, 4]) });
  });

  it('refuses a graph that was disposed of', async () => {
    const executable = await engine.compile(twice, new Map());
    await executable.dispose();
    await executable.dispose();
    await expect(executable.run({ x: float32([1, 2], [1, 2]) })).rejects.toThrow('the graph was disposed of');
  });

  it('rejects what is under way and what comes later when it is closed', async () => {
    const other = createOnnxruntimeEngine({ threads: 1 });
    const executable = await other.compile(twice, new Map());
    const pending = executable.run({ x: float32([1, 2], [1, 2]) }).catch((error: unknown) => error);
    await other.close();
    expect(await pending).toEqual(new Error('the engine was closed'));
    await expect(executable.run({ x: float32([1, 2], [1, 2]) })).rejects.toThrow('the engine was closed');
    await expect(other.compile(twice, new Map())).rejects.toThrow('the engine was closed');
    await executable.dispose();
  });

  // Ended inside onnxruntime, a thread would abort the process: 'terminate called after throwing Napi::Error'.
  it.each([
    ['while it idles', 'idle', 0, '1\n'],
    ['when it is closed in the middle of a run', 'close', 0, '1\nError: the engine was closed\n'],
    ['by an error in the middle of a run', 'throw', 1, '1\n'],
  ])(
    'lets the process end %s',
    async (_, how, code, output) => {
      const script = fileURLToPath(new URL('exit-script.ts', import.meta.url));
      const child = spawn(process.execPath, ['--import', 'tsx', script, how], { stdio: ['ignore', 'pipe', 'ignore'] });
      let stdout = '';
      child.stdout.on('data', (data: Buffer) => {
        stdout += data.toString();
      });
      const [exitCode] = await once(child, 'close');
      expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: output });
    },
    40_000,
  );
});

describe('weights', () => {
  const w = weight('w', [2, 2]);
  const graph = createGraph({ y: add(matMul(x, w, { transB: true }), cast(weight('b', [2], 'bfloat16'), 'float32')) });
  const kernel = float32([2, 2], [1, 2, 3, 4]);
  const bias = fromFloat32('bfloat16', [2], Float32Array.of(0.5, -1));
  const fed = { x: float32([1, 2], [1, 1]) };
  const expected = { y: float32([1, 2], [3.5, 6]) };

  async function open(...paths: readonly string[]): Promise<Weights> {
    const files = await Promise.all(paths.map(openSafetensors));
    return new Map(files.flatMap(({ tensors }) => [...tensors]));
  }

  it('are read in place from a file', async () => {
    const path = join(folder, 'model.safetensors');
    await writeSafetensors(path, [
      ['b', bias], // at an odd multiple of its size, which needs no alignment
      ['odd', fromFloat32('bfloat16', [1], Float32Array.of(1))],
      ['w', kernel],
    ]);
    const executable = await engine.compile(graph, await open(path));
    expect(await executable.run(fed)).toEqual(expected);
  });

  it('may lie in several folders, behind symbolic links', async () => {
    const [blobs, snapshot] = [join(folder, 'blobs', 'deep'), join(folder, 'snapshots', 'main')];
    await mkdir(blobs, { recursive: true });
    await mkdir(snapshot, { recursive: true });
    await writeSafetensors(join(folder, 'first.safetensors'), [['w', kernel]]);
    await writeSafetensors(join(snapshot, 'model-2.safetensors'), [['b', bias]]);
    await rename(join(folder, 'first.safetensors'), join(blobs, '0a1b2c'));
    await symlink(join(blobs, '0a1b2c'), join(snapshot, 'model-1.safetensors'));
    const executable = await engine.compile(
      graph,
      await open(join(snapshot, 'model-1.safetensors'), join(snapshot, 'model-2.safetensors')),
    );
    expect(await executable.run(fed)).toEqual(expected);
  });

  it('may lie partly in memory', async () => {
    const path = join(folder, 'bias.safetensors');
    await writeSafetensors(path, [['b', bias]]);
    const executable = await engine.compile(graph, new Map([...(await open(path)), ['w', kernel]]));
    expect(await executable.run(fed)).toEqual(expected);
  });

  it('may be read in another shape', async () => {
    const stored = float32([2, 2, 1, 1], kernel.data);
    const executable = await engine.compile(
      graph,
      new Map([
        ['b', bias],
        ['w', stored],
      ]),
    );
    expect(await executable.run(fed)).toEqual(expected);
  });

  it('are refused when they are missing, or of another dtype or shape', async () => {
    await expect(engine.compile(graph, new Map([['w', kernel]]))).rejects.toThrow(
      new UserError("The weight b is missing; the model's files are incomplete or of another model."),
    );
    const half = fromFloat32('float16', [2], Float32Array.of(1, 2));
    await expect(
      engine.compile(
        graph,
        new Map([
          ['w', kernel],
          ['b', half],
        ]),
      ),
    ).rejects.toThrow('The weight b is float16 [2], and bfloat16 [2] is expected; the file is of another model.');
    const path = join(folder, 'other.safetensors');
    await writeSafetensors(path, [['w', float32([3, 2], new Float32Array(6))]]);
    await expect(engine.compile(graph, new Map([...(await open(path)), ['b', bias]]))).rejects.toThrow(
      `The weight w in ${path} is float32 [3, 2], and float32 [2, 2] is expected`,
    );
  });
});
