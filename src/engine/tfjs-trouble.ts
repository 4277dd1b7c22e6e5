import { EngineError } from './engine-error.ts';

/** An error of a TensorFlow.js backend as a sentence with its remedy, where it is about the backend. */
export function explainTfjsTrouble(op: string, reason: string): EngineError | undefined {
  const options = { cause: new Error(reason) };
  // As tfjs-core's engine words it.
  const kernel = /Kernel '(\w+)' not registered for backend '(\S+?)'/.exec(reason);
  if (kernel) {
    const message = `The engine tfjs cannot compute ${op}: its backend ${kernel[2]} has no kernel ${kernel[1]}; use another backend, such as @tensorflow/tfjs-node, or model.engine: cpu.`;
    return new EngineError('op', message, options);
  }
  // TensorFlow's own words, a browser backend's, and those of JavaScript.
  if (/OOM when allocating|RESOURCE_EXHAUSTED|out of memory|Array buffer allocation failed/i.test(reason)) {
    const message = `The engine tfjs has too little memory (${reason.split('\n')[0]?.slice(0, 200)}); set train.gradient_checkpointing: true, lower train.batch_size or the resolution, or use model.engine: cpu.`;
    return new EngineError('memory', message, options);
  }
  if (/context lost|CUDA_ERROR_(ILLEGAL_ADDRESS|LAUNCH_FAILED|UNKNOWN)|device (was )?lost/i.test(reason)) {
    const message = `The device of the engine tfjs was lost (${reason.split('\n')[0]?.slice(0, 200)}); the same command goes on from the last checkpoint, and with model.engine_failure: cpu a run goes on by itself on the CPU.`;
    return new EngineError('lost', message, options);
  }
  return undefined;
}
