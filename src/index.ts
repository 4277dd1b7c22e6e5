/**
 * The public interface of sana-train: what its command line is made of.
 * @module
 */
export { UserError } from './errors.ts';
export { createRandom, restoreRandom } from './random.ts';
export type { Random, RandomState } from './random.ts';
export { float32, fromFloat32, tensor, toFloat32 } from './graph/tensor.ts';
export type { DType, Tensor } from './graph/tensor.ts';
export { openSafetensors, readTensor, writeSafetensors } from './io/safetensors.ts';
export type { SafetensorsFile, TensorLocation, Weights } from './io/safetensors.ts';
