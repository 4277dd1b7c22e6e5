import type { Engine } from '../engine/engine.ts';
import { createOnnxruntimeEngine, type OnnxruntimeOptions } from '../engine/onnxruntime.ts';
import { createTfjsEngine } from '../engine/tfjs.ts';
import { measureSpeed } from '../run/measure-speed.ts';

type Provider = NonNullable<OnnxruntimeOptions['provider']>;

const providers: readonly Provider[] = ['cpu', 'cuda', 'webgpu', 'dml', 'coreml'];

/** Something that can run graphs: a provider of onnxruntime, or a package of TensorFlow.js. */
export interface EngineName {
  readonly engine: 'onnxruntime' | 'tfjs';
  /** A provider, or a package. */
  readonly name: string;
}

/** What came of trying an engine. */
export type Probe =
  | { readonly kind: 'works'; readonly gigaflops: number; readonly seconds: number }
  | { readonly kind: 'wrong'; readonly error: number | null }
  | { readonly kind: 'fails'; readonly reason: string };

/** The packages of TensorFlow.js that a user may have installed beside this one. */
const tfjsPackages = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'] as const;

/** What there is to try on this platform. @throws when onnxruntime has no library for it */
export async function listEngines(): Promise<readonly EngineName[]> {
  const { listSupportedBackends } = await import('onnxruntime-node');
  const own = listSupportedBackends().flatMap(({ name }): readonly EngineName[] =>
    providers.some((provider) => provider === name) ? [{ engine: 'onnxruntime', name }] : [],
  );
  return [...own, ...tfjsPackages.map((name): EngineName => ({ engine: 'tfjs', name }))];
}

function createEngine(engine: EngineName['engine'], name: string): Engine {
  if (engine === 'tfjs') return createTfjsEngine({ packages: [name] });
  const provider = providers.find((one) => one === name);
  if (provider === undefined) throw new RangeError(`probeEngine: no provider ${name}`);
  return createOnnxruntimeEngine({ provider });
}

/** Multiplies matrices on an engine. A library may end the whole process: run it in one of its own. */
export async function probeEngine(engine: EngineName['engine'], name: string): Promise<Probe> {
  const start = performance.now();
  let opened: Engine | undefined;
  try {
    opened = createEngine(engine, name);
    const { gigaflops, error } = await measureSpeed(opened);
    // float32 sums of 1024 products; TensorFloat-32 units would give 1e-3 and are named as what they are.
    if (!(error < 1e-3)) return { kind: 'wrong', error: Number.isFinite(error) ? error : null };
    return { kind: 'works', gigaflops, seconds: (performance.now() - start) / 1000 };
  } catch (error) {
    return { kind: 'fails', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await opened?.close();
  }
}
