import { realpath } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, relative, sep } from 'node:path';

import { UserError } from '../errors.ts';
import { formatShape } from '../graph/dim.ts';
import { bindInputs, type Graph } from '../graph/graph.ts';
import { serialize } from '../graph/onnx/serialize.ts';
import type { Tensor } from '../graph/tensor.ts';
import { isTensorLocation, type TensorLocation, type Weights } from '../io/safetensors.ts';
import type { CompileOptions, Engine, Executable } from './engine.ts';
import type { Reply, Request } from './onnxruntime-messages.ts';
import { startWorker } from './start-worker.ts';

/** Settings of the onnxruntime engine. */
export interface OnnxruntimeOptions {
  /** onnxruntime's execution provider. @default 'cpu' */
  readonly provider?: 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml';
  /** Threads of a matrix product. @default the number of cores */
  readonly threads?: number;
}

/** Starts onnxruntime in a worker thread, so that the caller's event loop stays free while it computes. */
export function createOnnxruntimeEngine({
  provider = 'cpu',
  threads = availableParallelism(),
}: OnnxruntimeOptions = {}): Engine {
  const worker = startWorker('onnxruntime-worker');
  // The process may end while the engine idles.
  worker.unref();

  const waiting = new Map<
    number,
    { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }
  >();
  let requests = 0;
  let sessions = 0;
  let gone: Error | undefined;

  function fail(error: Error): void {
    gone = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }
  worker.on('error', fail);
  worker.on('exit', (code) => fail(new Error(`the engine's thread ended (code ${code})`)));
  worker.on('message', (reply: Reply) => {
    const { resolve, reject } = waiting.get(reply.id) ?? {};
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if (reply.error === undefined) resolve?.(reply);
    else reject?.(new Error(`onnxruntime: ${reply.error}`));
  });

  function ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
    if (gone) return Promise.reject(gone);
    const id = requests++;
    worker.ref();
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request }, transfer);
    });
  }

  async function compile(
    graph: Graph,
    weights: Weights,
    { recomputes = false }: CompileOptions = {},
  ): Promise<Executable> {
    const { folder, locate } = await placeWeights(graph, weights);
    const model = serialize(graph, {
      dialect: { contribOps: provider === 'cpu' || provider === 'cuda' },
      weight: locate,
    });
    const session = sessions++;
    await ask({ kind: 'compile', session, model, folder, provider, threads, recomputes });
    return {
      async run(feeds) {
        bindInputs(graph, feeds);
        const { outputs = {} } = await ask({ kind: 'run', session, feeds });
        return { ...outputs };
      },
      async dispose() {
        await ask({ kind: 'dispose', session });
      },
    };
  }

  return {
    name: `onnxruntime (${provider})`,
    compile,
    async close() {
      gone ??= new Error('the engine was closed');
      await worker.terminate();
    },
  };
}

type Located = ReturnType<Parameters<typeof serialize>[1]['weight']>;

/**
 * Where each weight's bytes are, relative to the one folder that onnxruntime is told: the deepest that holds all files.
 * Symbolic links are resolved first, since onnxruntime refuses those that lead out of the folder (a hub's cache is
 * made of them).
 */
async function placeWeights(
  graph: Graph,
  weights: Weights,
): Promise<{ folder: string; locate: (name: string) => Located }> {
  const found = new Map([...graph.weights.keys()].map((name) => [name, findWeight(graph, weights, name)]));
  const paths = new Map<string, string>();
  for (const source of found.values()) {
    if (isTensorLocation(source) && !paths.has(source.path)) paths.set(source.path, await realpath(source.path));
  }
  const folder = commonFolder([...paths.values()]);
  return {
    folder,
    locate(name) {
      const source = found.get(name) ?? findWeight(graph, weights, name);
      if (!isTensorLocation(source)) return source;
      const location = relative(folder, paths.get(source.path) ?? source.path)
        .split(sep)
        .join('/');
      return { location, offset: source.offset, length: source.byteLength };
    },
  };
}

function findWeight(graph: Graph, weights: Weights, name: string): TensorLocation | Tensor {
  const value = graph.weights.get(name);
  const source = weights.get(name);
  if (!source)
    throw new UserError(`The weight ${name} is missing; the model's files are incomplete or of another model.`);
  const elements = (shape: readonly (number | string)[]): number =>
    shape.reduce<number>((product, size) => product * Number(size), 1);
  if (value && (source.dtype !== value.dtype || elements(source.shape) !== elements(value.shape))) {
    const where = isTensorLocation(source) ? ` in ${source.path}` : '';
    throw new UserError(
      `The weight ${name}${where} is ${source.dtype} ${formatShape(source.shape)}, and ${value.dtype} ${formatShape(value.shape)} is expected; the file is of another model.`,
    );
  }
  return source;
}

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
