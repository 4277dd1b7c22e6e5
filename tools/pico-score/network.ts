import * as ort from 'onnxruntime-node';

import { UserError } from '../../src/errors.ts';

/** An ONNX file that runs in this thread, which waits for it. */
export interface Network {
  /** The outputs asked for, each with its values in one row. */
  readonly run: (feeds: Readonly<Record<string, ort.Tensor>>) => Promise<ReadonlyMap<string, Float32Array>>;
  readonly close: () => Promise<void>;
}

/** Loads an ONNX file whose outputs are float32. @throws UserError when it cannot be loaded */
export async function openNetwork(path: string): Promise<Network> {
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(path, { executionProviders: ['cpu'], logSeverityLevel: 4 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} cannot be loaded (${reason}); build it with tools/pico/build.py.`, { cause: error });
  }
  return {
    async run(feeds) {
      const outputs = new Map<string, Float32Array>();
      for (const [name, { data }] of Object.entries(await session.run({ ...feeds }))) {
        if (!(data instanceof Float32Array)) throw new RangeError(`${path}: output ${name} is not float32`);
        outputs.set(name, data);
      }
      return outputs;
    },
    close: () => session.release(),
  };
}

/** A float32 input. */
export function floats(shape: readonly number[], data: Float32Array): ort.Tensor {
  return new ort.Tensor('float32', data, shape);
}

/** An int64 input. */
export function integers(shape: readonly number[], data: readonly number[]): ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(data, BigInt), shape);
}
