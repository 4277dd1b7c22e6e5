import { UserError } from '../errors.ts';
import type { Tfjs } from '../graph/value.ts';

function isTfjs(value: unknown): value is Tfjs {
  return typeof value === 'object' && value !== null && 'tidy' in value && 'matMul' in value && 'setBackend' in value;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}

/**
 * Loads TensorFlow.js.
 * @param packages the first exports TensorFlow.js' functions; the others only register backends
 * @throws UserError when one is not installed or does not load
 */
export async function loadTfjs([name = '@tensorflow/tfjs-node', ...backends]: readonly string[]): Promise<Tfjs> {
  const [module] = await Promise.all([name, ...backends].map(importPackage));
  // Packages that are CommonJS keep their exports under `default` where Node cannot see them otherwise.
  const candidates = [module, typeof module === 'object' && module !== null && 'default' in module && module.default];
  const tf = candidates.find(isTfjs);
  if (!tf) throw new UserError(`The package ${name} is not TensorFlow.js; name one such as @tensorflow/tfjs-node.`);
  return tf;
}

async function importPackage(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch (error) {
    if (isMissing(error)) {
      throw new UserError(
        `The package ${name} is not installed; run npm install ${name}, or use the onnxruntime engine, which needs no other package.`,
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `The package ${name} does not load (${reason.trim()}); install it again, or use the onnxruntime engine.`,
    );
  }
}

/**
 * Makes `backend` the one that computes, or readies the one that is set.
 * @throws UserError when TensorFlow.js does not know it or it does not work here
 */
export async function useBackend(tf: Tfjs, backend: string | undefined): Promise<void> {
  if (backend === undefined || backend === tf.getBackend()) {
    await tf.ready();
    return;
  }
  const known = tf.findBackendFactory(backend) !== null;
  if (!known || !(await tf.setBackend(backend))) {
    throw new UserError(
      `TensorFlow.js has no backend '${backend}' that works here; install the package that brings it, or leave it out to use the best there is.`,
    );
  }
}
