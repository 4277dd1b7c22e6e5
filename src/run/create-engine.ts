import type { ModelConfig } from '../config/schema.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { Engine } from '../engine/engine.ts';
import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { createTfjsEngine } from '../engine/tfjs.ts';
import { UserError } from '../errors.ts';
import { measureSpeed } from './measure-speed.ts';
import type { EngineName } from './probe-engine.ts';

/** What brings TensorFlow.js with a backend, the fastest first. */
const tfjsPackages: readonly (readonly string[])[] = [
  ['@tensorflow/tfjs-node-gpu'],
  ['@tensorflow/tfjs-node'],
  ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu'],
];

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * The engine of a name.
 * @throws EngineError when no backend of TensorFlow.js is installed for `tfjs`
 */
export function createEngine({
  engine,
  threads,
}: {
  readonly engine: EngineName;
  readonly threads: ModelConfig['threads'];
}): Engine {
  if (engine !== 'tfjs') {
    return createOnnxruntimeEngine({ provider: engine, ...(threads !== 'auto' && { threads }) });
  }
  const packages = tfjsPackages.find((names) => names.every(isInstalled));
  if (!packages) {
    throw new EngineError(
      'absent',
      'The engine tfjs takes a backend of TensorFlow.js and none is installed; run npm install @tensorflow/tfjs-node (or -gpu), or use model.engine: cpu, which needs no other package.',
    );
  }
  return createTfjsEngine({ packages });
}

/**
 * How fast the engine is, in gigaflops: a look at whether it works at all, in a tenth of a second.
 * @throws UserError when it does not
 */
export async function engineSpeed(engine: Engine, name: EngineName): Promise<number> {
  try {
    return (await measureSpeed(engine, 3)).gigaflops;
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineError(
      'absent',
      `model.engine is ${name}, which does not work on this machine (${reason}); use cpu, or look what sana-train doctor finds.`,
      { cause: error },
    );
  }
}
