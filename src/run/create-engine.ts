import type { ModelConfig } from '../config/schema.ts';
import type { Engine } from '../engine/engine.ts';
import { createOnnxruntimeEngine } from '../engine/onnxruntime.ts';
import { createTfjsEngine } from '../engine/tfjs.ts';
import { UserError } from '../errors.ts';
import { measureSpeed } from './measure-speed.ts';

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
 * The engine that a config names.
 * @throws UserError when no backend of TensorFlow.js is installed for `tfjs`
 */
export function createEngine({
  engine,
  provider,
  threads,
}: Pick<ModelConfig, 'engine' | 'provider' | 'threads'>): Engine {
  if (engine === 'onnxruntime') return createOnnxruntimeEngine({ provider, ...(threads !== 'auto' && { threads }) });
  const packages = tfjsPackages.find((names) => names.every(isInstalled));
  if (!packages) {
    throw new UserError(
      'model.engine is tfjs, and no backend of TensorFlow.js is installed; run npm install @tensorflow/tfjs-node (or -gpu), or use onnxruntime, which needs no other package.',
    );
  }
  return createTfjsEngine({ packages });
}

/**
 * How fast the engine of a config is, in gigaflops: a look at whether it works at all, in a tenth of a second.
 * @throws UserError when it does not
 */
export async function engineSpeed(
  engine: Engine,
  { engine: name, provider }: Pick<ModelConfig, 'engine' | 'provider'>,
): Promise<number> {
  try {
    return (await measureSpeed(engine, 3)).gigaflops;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      name === 'tfjs'
        ? `model.engine is tfjs, which does not work on this machine (${reason}); use onnxruntime, or look what sana-train doctor finds.`
        : `model.provider is ${provider}, which does not work on this machine (${reason}); use cpu, or look what sana-train doctor finds.`,
    );
  }
}
