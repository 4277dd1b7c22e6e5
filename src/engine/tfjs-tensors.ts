import type * as tfjs from '@tensorflow/tfjs-core';

import { tfjsType } from '../graph/ops/elementwise.ts';
import { type DType, fromFloat32, tensor as makeTensor, type Tensor, toFloat32 } from '../graph/tensor.ts';
import type { Tfjs } from '../graph/value.ts';

/** A tensor as TensorFlow.js has it, in `shape`, over memory of its own. */
export function toTfjs(tf: Tfjs, value: Tensor, shape: readonly number[] = value.shape): tfjs.Tensor {
  const type = tfjsType(value.dtype);
  switch (type) {
    case 'float32': {
      const data = toFloat32(value);
      // A backend may keep the array itself, which the caller may write to.
      return tf.tensor(data === value.data ? data.slice() : data, [...shape], type);
    }
    case 'int32':
      return tf.tensor(Int32Array.from(value.data, Number), [...shape], type);
    case 'bool':
      return tf.tensor(Uint8Array.from(value.data, Number), [...shape], type);
  }
}

/** The elements of a TensorFlow.js tensor as a `dtype`, over memory of its own. */
export async function fromTfjs(source: tfjs.Tensor, dtype: DType): Promise<Tensor> {
  const data = await source.data();
  const { shape } = source;
  switch (dtype) {
    case 'float32':
    case 'float16':
    case 'bfloat16':
      return fromFloat32(dtype, shape, Float32Array.from(data));
    case 'float64':
      return makeTensor(dtype, shape, Float64Array.from(data));
    case 'int64':
      return makeTensor(dtype, shape, BigInt64Array.from(data, BigInt));
    case 'int32':
      return makeTensor(dtype, shape, Int32Array.from(data));
    case 'int8':
      return makeTensor(dtype, shape, Int8Array.from(data));
    case 'uint8':
    case 'bool':
      return makeTensor(dtype, shape, Uint8Array.from(data));
  }
}
