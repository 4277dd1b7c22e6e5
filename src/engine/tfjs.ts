import { setImmediate } from 'node:timers/promises';

import type * as tfjs from '@tensorflow/tfjs-core';

import { type DimBindings, evaluateDim } from '../graph/dim.ts';
import { bindInputs, type Graph } from '../graph/graph.ts';
import { scheduleNodes } from '../graph/schedule.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Node, Tfjs, Value } from '../graph/value.ts';
import { isTensorLocation, readTensor, type Weights } from '../io/safetensors.ts';
import type { Engine, Executable } from './engine.ts';
import { findWeight } from './find-weight.ts';
import { loadTfjs, useBackend } from './load-tfjs.ts';
import { explainTfjsTrouble } from './tfjs-trouble.ts';
import { fromTfjs, toTfjs } from './tfjs-tensors.ts';

/** Settings of the TensorFlow.js engine. */
export interface TfjsOptions {
  /** TensorFlow.js itself, where the caller has loaded it. */
  readonly tf?: Tfjs;
  /**
   * The packages that are loaded when `tf` is not given: the first exports TensorFlow.js, the others register backends.
   * @default ['@tensorflow/tfjs-node']
   */
  readonly packages?: readonly string[];
  /** The backend that computes, such as 'tensorflow', 'webgl' or 'cpu'. @default the best that is registered */
  readonly backend?: string;
}

/** How long nodes run, in milliseconds, before timers and input get a turn. */
const SLICE = 8;

/**
 * Walks graphs op by op on a TensorFlow.js backend.
 *
 * It computes on the caller's thread and lets other events in between ops. float16 and bfloat16 weights are kept as
 * float32, and float64 and int64 as float32 and int32, since TensorFlow.js has nothing else.
 */
export function createTfjsEngine({
  tf: given,
  packages = ['@tensorflow/tfjs-node'],
  backend,
}: TfjsOptions = {}): Engine {
  let loading: Promise<Tfjs> | undefined;
  let closed = false;
  const executables = new Set<Executable>();

  async function load(): Promise<Tfjs> {
    const tf = given ?? (await loadTfjs(packages));
    await useBackend(tf, backend);
    return tf;
  }

  // One request after the other, in the order they came: the memory of two steps at once is not to be had.
  let turn = Promise.resolve();
  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = turn;
    let end = (): void => undefined;
    turn = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    try {
      return await work();
    } finally {
      end();
    }
  }

  function assertOpen(): void {
    if (closed) throw new Error('the engine was closed');
  }

  return {
    name: backend === undefined ? 'tfjs' : `tfjs (${backend})`,
    async compile(graph, weights) {
      assertOpen();
      loading ??= load();
      const tf = await loading;
      return inTurn(async () => {
        assertOpen();
        const kept = await uploadConstants(tf, graph, weights);
        const plan = planGraph(graph);
        let disposed = false;
        const executable: Executable = {
          async run(feeds) {
            const bindings = bindInputs(graph, feeds);
            return inTurn(async () => {
              assertOpen();
              if (disposed) throw new Error('the graph was disposed of and cannot run again');
              return runPlan({ tf, graph, plan, kept, bindings, assertOpen }, feeds);
            });
          },
          async dispose() {
            if (disposed) return;
            disposed = true;
            executables.delete(executable);
            await inTurn(async () => tf.dispose([...kept.values()]));
          },
        };
        executables.add(executable);
        return executable;
      });
    },
    async close() {
      closed = true;
      await Promise.all([...executables].map((executable) => executable.dispose()));
    },
  };
}

/** The tensors of weights and constants, which stay for all runs. A weight that several values read is there once. */
async function uploadConstants(tf: Tfjs, graph: Graph, weights: Weights): Promise<Map<Value, tfjs.Tensor>> {
  const kept = new Map<Value, tfjs.Tensor>();
  const byName = new Map<string, tfjs.Tensor>();
  try {
    for (const { leaf, outputs } of graph.nodes) {
      const [value] = outputs;
      if (!leaf || !value || leaf.kind === 'input') continue;
      const shape = value.shape.map(Number);
      if (leaf.kind === 'constant') {
        kept.set(value, toTfjs(tf, leaf.tensor, shape));
        continue;
      }
      let uploaded = byName.get(leaf.name);
      if (!uploaded) {
        const source = await findWeight(graph, weights, leaf.name);
        uploaded = toTfjs(tf, isTensorLocation(source) ? await readTensor(source) : source, shape);
        byName.set(leaf.name, uploaded);
      }
      kept.set(value, uploaded);
    }
    return kept;
  } catch (error) {
    tf.dispose([...kept.values()]);
    throw error;
  }
}

interface Plan {
  readonly order: readonly Node[];
  /** How often each value is needed: by nodes, and as a result. */
  readonly uses: ReadonlyMap<Value, number>;
}

function planGraph(graph: Graph): Plan {
  const uses = new Map<Value, number>();
  const needed = [...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.values()];
  for (const value of needed) uses.set(value, (uses.get(value) ?? 0) + 1);
  return { order: scheduleNodes(graph), uses };
}

interface Run {
  readonly tf: Tfjs;
  readonly graph: Graph;
  readonly plan: Plan;
  readonly kept: ReadonlyMap<Value, tfjs.Tensor>;
  readonly bindings: DimBindings;
  readonly assertOpen: () => void;
}

async function runPlan(
  { tf, graph, plan: { order, uses }, kept, bindings, assertOpen }: Run,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const live = new Map<Value, tfjs.Tensor>();
  const left = new Map(uses);

  const tensorOf = (value: Value): tfjs.Tensor => {
    const found = kept.get(value) ?? live.get(value);
    if (!found) throw new RangeError(`tfjs: a result of ${value.node.op} was freed before its last use`);
    return found;
  };
  const release = (value: Value): void => {
    const count = (left.get(value) ?? 0) - 1;
    left.set(value, count);
    if (count > 0) return;
    live.get(value)?.dispose();
    live.delete(value);
  };

  let since = performance.now();
  try {
    for (const node of order) {
      const { leaf, inputs, outputs } = node;
      if (leaf?.kind === 'input' && outputs[0]) {
        const feed = feeds[leaf.name];
        if (feed) live.set(outputs[0], toTfjs(tf, feed));
      }
      if (leaf) continue;
      const results = tf.tidy(() => runNode(tf, node, inputs.map(tensorOf), bindings));
      for (const [i, value] of outputs.entries()) {
        const result = results[i];
        if (!result) throw new RangeError(`tfjs: ${node.op} gave ${results.length} results, not ${outputs.length}`);
        if (left.has(value)) live.set(value, result);
        else result.dispose();
      }
      inputs.forEach(release);
      if (performance.now() - since > SLICE) {
        await setImmediate();
        assertOpen();
        since = performance.now();
      }
    }
    const results: Record<string, Tensor> = {};
    for (const [name, value] of graph.outputs) results[name] = await fromTfjs(tensorOf(value), value.dtype);
    return results;
  } finally {
    tf.dispose([...live.values()]);
  }
}

function runNode(tf: Tfjs, node: Node, inputs: readonly tfjs.Tensor[], bindings: DimBindings): tfjs.Tensor[] {
  let results: readonly tfjs.Tensor[];
  try {
    results = node.tfjs(tf, inputs, (dim) => evaluateDim(dim, bindings));
  } catch (error) {
    const shapes = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(' and ');
    const reason = error instanceof Error ? error.message : String(error);
    throw (
      explainTfjsTrouble(node.op, reason) ?? new Error(`tfjs: ${node.op} of ${shapes}: ${reason}`, { cause: error })
    );
  }
  // A kernel that has nothing to do may hand its operand back, which is freed on its own.
  return results.map((result, i) => (inputs.includes(result) || results.indexOf(result) < i ? result.clone() : result));
}
