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

export { createOnnxruntimeEngine } from './engine/onnxruntime.ts';
export { createTfjsEngine } from './engine/tfjs.ts';
export type { CompileOptions, Engine, Executable } from './engine/engine.ts';

export { resolveModel } from './hub/resolve-model.ts';
export type { ModelName, ResolvedModel, ResolveModelOptions } from './hub/resolve-model.ts';
export { openPipeline } from './pipeline/open-pipeline.ts';
export type { OpenPipelineOptions, SanaPipeline } from './pipeline/open-pipeline.ts';
export { samplePipeline } from './pipeline/sample-pipeline.ts';
export type { SampledPicture, SamplePipelineOptions } from './pipeline/sample-pipeline.ts';

export { createAdapter } from './lora/create-adapter.ts';
export { readAdapter, writeAdapter } from './lora/adapter-file.ts';
export type { Adapter, WriteAdapterOptions } from './lora/adapter-file.ts';
export { createTrainingStep } from './lora/training-step.ts';
export type { TrainingBatch, TrainingStep, TrainingStepOptions } from './lora/training-step.ts';

export { createOptimizer } from './optim/create-optimizer.ts';
export { createSchedule } from './optim/schedules.ts';
export { trainLora } from '../trainers/lora.ts';
