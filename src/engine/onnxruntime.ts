import { realpath } from 'node:fs/promises';
import { arch, availableParallelism, platform } from 'node:os';
import { dirname, relative, sep } from 'node:path';

import { UserError } from '../errors.ts';
import { type DimBindings, evaluateDim } from '../graph/dim.ts';
import { bindInputs, createGraph, type Graph } from '../graph/graph.ts';
import type { OnnxDialect } from '../graph/onnx/emitter.ts';
import { type FedSize, serialize } from '../graph/onnx/serialize.ts';
import { mul } from '../graph/ops/elementwise.ts';
import { float32, tensor, type Tensor, tensorBytes } from '../graph/tensor.ts';
import { input } from '../graph/value.ts';
import { widenWeights } from '../graph/widen-weights.ts';
import { winogradConvolutions } from '../graph/winograd.ts';
import { isTensorLocation, readTensor, type TensorLocation, type Weights } from '../io/safetensors.ts';
import { findCudaLibrary, missingLibraries } from './cuda-libraries.ts';
import type { CompileOptions, Engine, Executable } from './engine.ts';
import { findWeight } from './find-weight.ts';
import { createGate, shutGate, waitOutside } from './native-gate.ts';
import type { Reply, Request, WeightPart } from './onnxruntime-messages.ts';
import { explainTrouble, type Provider, type Surroundings } from './onnxruntime-trouble.ts';
import { isSameList, packTensors, type TensorList, unpackTensors } from './packed-tensors.ts';
import { startWorker } from './start-worker.ts';

/** Settings of the onnxruntime engine. */
export interface OnnxruntimeOptions {
  /** onnxruntime's execution provider. @default 'cpu' */
  readonly provider?: Provider;
  /** Threads of a matrix product. @default the number of cores */
  readonly threads?: number;
  /** What the provider's kernels speak. @default com.microsoft's ops on 'cpu' and 'cuda' */
  readonly dialect?: OnnxDialect;
  /** Whether nodes that the provider has no kernel for run on the CPU; otherwise such a graph is refused. @default true */
  readonly cpuFallback?: boolean;
}

/** How long, in milliseconds, a process that ends waits for a run: without bound it could never be ended. */
const LONGEST_RUN = 60_000;

/** Starts onnxruntime in a worker thread, so that the caller's event loop stays free while it computes. */
export function createOnnxruntimeEngine({
  provider = 'cpu',
  threads = availableParallelism(),
  dialect = { contribOps: provider === 'cpu' || provider === 'cuda' },
  cpuFallback = true,
}: OnnxruntimeOptions = {}): Engine {
  const gate = createGate();
  const worker = startWorker('onnxruntime-worker', gate);
  // The process may end while the engine idles, and when it ends in the middle of a run it waits for that.
  worker.unref();
  const beforeExit = (): void => {
    shutGate(gate);
    waitOutside(gate, LONGEST_RUN);
  };

  const waiting = new Map<
    number,
    { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }
  >();
  let requests = 0;
  let sessions = 0;
  let gone: Error | undefined;

  function fail(error: Error): void {
    gone ??= error;
    for (const { reject } of waiting.values()) reject(gone);
    waiting.clear();
    rest();
  }
  worker.on('error', (error) => fail(explain(error.message) ?? error));
  worker.on('exit', (code) => fail(new Error(`the engine's thread ended (code ${code})`)));
  worker.on('message', (reply: Reply) => {
    const { resolve, reject } = waiting.get(reply.id) ?? {};
    waiting.delete(reply.id);
    if (waiting.size === 0) rest();
    if (reply.error === undefined) resolve?.(reply);
    else void explainFully(reply.error).then(reject);
  });

  function explain(reason: string, cuda: Omit<Surroundings, 'platform'> = {}): Error | undefined {
    return explainTrouble(provider, reason, { platform: `${platform()} ${arch()}`, ...cuda });
  }

  async function explainFully(reason: string): Promise<Error> {
    // What CUDA lacks onnxruntime prints, and does not say in its error.
    const cudaLibrary = provider === 'cuda' ? findCudaLibrary() : undefined;
    const missing = cudaLibrary === undefined ? [] : await missingLibraries(cudaLibrary);
    return explain(reason, { cudaLibrary, missingLibraries: missing }) ?? new Error(`onnxruntime: ${reason}`);
  }

  function rest(): void {
    worker.unref();
    process.off('exit', beforeExit);
  }

  function post(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
    const id = requests++;
    return new Promise((resolve, reject) => {
      worker.postMessage({ id, request }, transfer);
      if (waiting.size === 0) {
        worker.ref();
        process.on('exit', beforeExit);
      }
      waiting.set(id, { resolve, reject });
    });
  }

  function ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
    return gone ? Promise.reject(gone) : post(request, transfer);
  }

  async function close(): Promise<void> {
    if (gone) return;
    fail(new Error('the engine was closed'));
    shutGate(gate);
    // Ended inside onnxruntime, the thread would abort the process. So what runs now runs to its end.
    try {
      await post({ kind: 'close' });
    } finally {
      await worker.terminate();
    }
  }

  // A WebGPU device lasts as long as it has a session, and every shader that was compiled goes with it. So it keeps one:
  // a model that comes after the autoencoder is ready in a tenth of the time.
  let device: Promise<Reply> | undefined;
  function keepDevice(): Promise<Reply> {
    const graph = createGraph({ y: mul(input('x', [1]), 1) });
    const model = new Uint8Array(serialize(graph, { dialect, weight: neverAsked }));
    return ask(compileRequest(model, '.', {}), [model.buffer]);
  }

  function compileRequest(
    model: Uint8Array,
    folder: string,
    { recomputes = false, prepacks = false }: { readonly recomputes?: boolean; readonly prepacks?: boolean },
  ): Extract<Request, { kind: 'compile' }> {
    const session = sessions++;
    return { kind: 'compile', session, model, folder, provider, threads, recomputes, prepacks, cpuFallback };
  }

  async function compile(
    given: Graph,
    weights: Weights,
    { recomputes = false, runsSeldom = false }: CompileOptions = {},
  ): Promise<Executable> {
    // Only the CPU and CUDA cast bfloat16, and not every GPU has float16.
    const suited = provider === 'cpu' || provider === 'cuda' ? given : widenWeights(given);
    const graph = provider === 'cpu' && arch() === 'x64' ? winogradConvolutions(suited) : suited;
    const { folder, locate, parts } = await placeWeights(graph, weights, suited !== given);
    if (provider === 'webgpu') await (device ??= keepDevice());
    // Copied, since a buffer that comes out of Node's pool cannot be handed over.
    const sizes: FedSize[] = [];
    const options = {
      dialect,
      weight: locate,
      ...(provider !== 'cpu' && { onSize: (size: FedSize) => sizes.push(size) }),
    };
    const model = new Uint8Array(serialize(graph, options));
    const prepacks = !runsSeldom && [...graph.weights.values()].some(({ dtype }) => dtype === 'int8');
    const request = { ...compileRequest(model, folder, { recomputes, prepacks }), parts };
    const { session } = request;
    const { fixed } = await ask(request, [model.buffer, ...parts.map(({ data }) => data.buffer)]);
    let disposed = false;
    // Memory that crossed and is free: of the feeds, which the worker sends back, and of outputs that the caller gave back.
    let spareFeeds: ArrayBuffer | undefined;
    let spareOutputs: ArrayBuffer | undefined;
    let lastFed: TensorList | undefined;
    const memoryOf = new WeakMap<object, ArrayBuffer>();
    return {
      async run(feeds) {
        if (disposed) throw new Error('the graph was disposed of and cannot run again');
        const bindings = bindInputs(graph, feeds);
        const fed = [
          ...Object.entries(feeds),
          ...sizes.map((size) => [size.name, sizeTensor(size, bindings)] as const),
        ];
        const { list, buffer } = packTensors(fed, spareFeeds);
        const isKnown = lastFed !== undefined && isSameList(lastFed, list);
        const spare = spareOutputs;
        spareFeeds = spareOutputs = undefined;
        lastFed = list;
        const reply = await ask(
          { kind: 'run', session, feeds: buffer, ...(!isKnown && { fed: list }), ...(spare && { spare }) },
          spare ? [buffer, spare] : [buffer],
        );
        spareFeeds = reply.spare;
        const outputs: Record<string, Tensor> = { ...reply.outputs };
        if (fixed && reply.packed) {
          for (const [name, value] of unpackTensors({ list: fixed, buffer: reply.packed })) outputs[name] = value;
          memoryOf.set(outputs, reply.packed);
        }
        return outputs;
      },
      recycle(outputs) {
        spareOutputs = memoryOf.get(outputs);
        memoryOf.delete(outputs);
      },
      async dispose() {
        if (disposed || gone) return;
        disposed = true;
        spareFeeds = spareOutputs = undefined;
        await ask({ kind: 'dispose', session });
      },
    };
  }

  let closing: Promise<void> | undefined;
  return {
    name: `onnxruntime (${provider})`,
    compile,
    close: () => (closing ??= close()),
  };
}

function neverAsked(name: string): never {
  throw new RangeError(`onnxruntime: the graph has no weight ${name}`);
}

/** What a size is in this run. */
function sizeTensor({ dtype, dims }: FedSize, bindings: DimBindings): Tensor {
  const values = dims.map((dim) => evaluateDim(dim, bindings));
  return dtype === 'int64' ? tensor(dtype, [dims.length], BigInt64Array.from(values, BigInt)) : float32([], values);
}

type Located = ReturnType<Parameters<typeof serialize>[1]['weight']>;

/**
 * Where each weight's bytes are, relative to the one folder that onnxruntime is told: the deepest that holds all files.
 * Symbolic links are resolved first, since onnxruntime refuses those that lead out of the folder (a hub's cache is
 * made of them).
 * @param handsOver whether all weights go through memory, large ones as `parts` beside the model
 */
async function placeWeights(
  graph: Graph,
  weights: Weights,
  handsOver: boolean,
): Promise<{ folder: string; locate: (name: string) => Located; parts: readonly WeightPart[] }> {
  const found = new Map<string, TensorLocation | Tensor>();
  const parts = new Map<string, WeightPart>();
  for (const name of graph.weights.keys()) {
    const source = await findWeight(graph, weights, name);
    if (!handsOver) {
      found.set(name, source);
      continue;
    }
    // onnxruntime takes weights from files or from memory, and not from both.
    const held = isTensorLocation(source) ? await readTensor(source) : source;
    found.set(name, held);
    if (held.data.byteLength < LARGE) continue;
    // Copied, since what is handed over is gone, and it may be the caller's.
    parts.set(name, { path: `%${parts.size}`, data: new Uint8Array(tensorBytes(held)) });
    found.delete(name);
  }
  const paths = new Map<string, string>();
  for (const source of found.values()) {
    if (isTensorLocation(source) && !paths.has(source.path)) paths.set(source.path, await realpath(source.path));
  }
  const folder = commonFolder([...paths.values()]);
  return {
    folder,
    parts: [...parts.values()],
    locate(name) {
      const part = parts.get(name);
      if (part) return { location: part.path, offset: 0, length: part.data.byteLength };
      const source = found.get(name);
      if (!source) return neverAsked(name);
      if (!isTensorLocation(source)) return source;
      const location = relative(folder, paths.get(source.path) ?? source.path)
        .split(sep)
        .join('/');
      return { location, offset: source.offset, length: source.byteLength };
    },
  };
}

/** Bytes from which a weight in memory is handed over beside the model, which cannot be larger than 2 GiB. */
const LARGE = 2 ** 20;

function commonFolder(paths: readonly string[]): string {
  const [first] = paths;
  if (first === undefined) return '.';
  let folder = dirname(first);
  while (!paths.every((path) => path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new UserError(`The model's files lie on different drives (${paths.join(', ')}); put them on one.`);
    folder = parent;
  }
  return folder;
}
