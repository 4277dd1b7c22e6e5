/**
 * Runs onnxruntime in a thread of its own: creating and running a session block the thread that asks.
 */
import { parentPort, workerData } from 'node:worker_threads';

import * as ort from 'onnxruntime-node';

import type { DType, Tensor } from '../graph/tensor.ts';
import { createGate, isGate, passGate } from './native-gate.ts';
import type { Envelope, Reply, Request } from './onnxruntime-messages.ts';
import { packedRoom, type TensorList, unpackTensors } from './packed-tensors.ts';

// Where JavaScript has Float16Array (Node 24), onnxruntime-node 1.30 makes one of the bits it is given, and then its
// native part reads no elements out of it. In this thread it shall find none.
Reflect.deleteProperty(globalThis, 'Float16Array');

// What goes wrong comes back as a rejection, and need not be printed too.
ort.env.logLevel = 'fatal';

const gate = isGate(workerData) ? workerData : createGate();

interface Session {
  readonly ort: ort.InferenceSession;
  /** Outputs that go back packed. */
  readonly fixed: TensorList;
  /** What the last run was fed. */
  fed: TensorList;
}

const sessions = new Map<number, Session>();

const dtypes: Readonly<Record<string, DType>> = {
  float64: 'float64',
  float32: 'float32',
  float16: 'float16',
  int64: 'int64',
  int32: 'int32',
  int8: 'int8',
  uint8: 'uint8',
  bool: 'bool',
};

// Rewrites that undo what the graph says: merging recomputed nodes with the originals; storing full copies of
// transposed and cast weights; storing fp16 weights as fp32.
const unwanted = ['ConstantFolding', 'FuseFp16InitializerToFp32NodeTransformer'];

async function compile({
  session,
  model,
  folder,
  provider,
  threads,
  recomputes,
  prepacks,
  cpuFallback,
  parts = [],
}: Extract<Request, { kind: 'compile' }>): Promise<TensorList> {
  const disabled = [
    ...unwanted,
    ...(recomputes ? ['CommonSubexpressionElimination'] : []),
    // In 8 bits what it would spare is there anyway, and products that transpose what they read take twice as long.
    ...(prepacks ? ['MatmulTransposeFusion'] : []),
  ];
  const created = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    enableCpuMemArena: true,
    // Patterns keep the largest run's memory for ever.
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(parts.length > 0 && { externalData: parts }),
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        // A packed copy of each weight a use would cost more memory than the 3 to 7% of time it saves is worth. In
        // 8 bits it takes a quarter of the memory and saves 10 to 20%.
        disable_prepacking: prepacks ? '0' : '1',
        // Threads of one session that spin would slow the other sessions down.
        force_spinning_stop: '1',
        ...(!cpuFallback && { disable_cpu_ep_fallback: '1' }),
      },
      optimization: { disable_specified_optimizers: disabled.join(';') },
    },
  });
  // Of a device's memory onnxruntime makes copies itself.
  const fixed = provider === 'cpu' ? fixedOutputs(created) : nothing;
  sessions.set(session, { ort: created, fixed, fed: nothing });
  return fixed;
}

const nothing: TensorList = { names: [], dtypes: [], shapes: [] };

/** The outputs of a session whose shapes are always the same, as its parameters' gradients. */
function fixedOutputs({ outputMetadata, inputNames }: ort.InferenceSession): TensorList {
  const list = outputMetadata.flatMap((output) => {
    const dtype = output.isTensor ? dtypes[output.type] : undefined;
    // An output that is an input is not written anywhere.
    if (!output.isTensor || !dtype || inputNames.includes(output.name)) return [];
    const shape = output.shape.filter((dim) => typeof dim === 'number');
    return shape.length === output.shape.length ? [{ name: output.name, dtype, shape }] : [];
  });
  return {
    names: list.map(({ name }) => name),
    dtypes: list.map(({ dtype }) => dtype),
    shapes: list.map(({ shape }) => shape),
  };
}

function ortTensor({ dtype, shape, data }: Tensor, name: string): ort.Tensor {
  if (dtype === 'bfloat16') throw new Error(`input ${name}: onnxruntime takes no bfloat16 inputs`);
  return new ort.Tensor(dtype, data as Float32Array, shape);
}

async function run({ session, feeds, fed, spare }: Extract<Request, { kind: 'run' }>): Promise<Omit<Reply, 'id'>> {
  const found = sessions.get(session);
  if (!found) throw new Error(`session ${session} is not there`);
  if (fed) found.fed = fed;
  const inputs: Record<string, ort.Tensor> = {};
  for (const [name, feed] of unpackTensors({ list: found.fed, buffer: feeds })) inputs[name] = ortTensor(feed, name);
  // onnxruntime writes these where they are to be; of the others it makes memory of their own.
  const packed = packedRoom(found.fixed, spare);
  const fetches: Record<string, ort.Tensor | null> = Object.fromEntries(
    found.ort.outputNames.map((name) => [name, null]),
  );
  for (const [name, room] of unpackTensors(packed)) fetches[name] = ortTensor(room, name);
  const outputs: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(await found.ort.run(inputs, fetches))) {
    if (fetches[name]) continue;
    const dtype = dtypes[value.type];
    if (!dtype) throw new Error(`output ${name} is ${value.type}`);
    outputs[name] = { dtype, shape: value.dims, data: value.data as Float32Array };
  }
  return { packed: packed.buffer, outputs, spare: feeds };
}

async function answer(request: Request): Promise<Omit<Reply, 'id'>> {
  switch (request.kind) {
    case 'compile':
      return { fixed: await passGate(gate, () => compile(request)) };
    case 'run':
      return passGate(gate, () => run(request));
    case 'dispose':
      await passGate(gate, () => release(request.session));
      return {};
    case 'close':
      for (const session of sessions.keys()) await release(session);
      return {};
  }
}

async function release(session: number): Promise<void> {
  await sessions.get(session)?.ort.release();
  sessions.delete(session);
}

/** Hands the tensors' memory over with the reply, without a copy. */
function send(reply: Reply): void {
  const buffers = [
    reply.packed,
    reply.spare,
    ...Object.values(reply.outputs ?? {}).map(({ data }) => data.buffer),
  ].filter((buffer) => buffer instanceof ArrayBuffer);
  parentPort?.postMessage(reply, [...new Set(buffers)]);
}

async function handle({ id, request }: Envelope, before: Promise<void>): Promise<void> {
  await before;
  try {
    send({ id, ...(await answer(request)) });
  } catch (error) {
    send({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

// One request after the other, in the order they came.
let turn = Promise.resolve();

parentPort?.on('message', (envelope: Envelope) => {
  turn = handle(envelope, turn);
});
