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

export { sanaModules } from './models/sana-transformer-config.ts';
export { adaptedModules } from './lora/adapter-config.ts';
export type { AdaptedModules, AdapterConfig } from './lora/adapter-config.ts';
export { createAdapter } from './lora/create-adapter.ts';
export type { AdapterInit } from './lora/create-adapter.ts';
export { readAdapter, writeAdapter } from './lora/adapter-file.ts';
export type { Adapter, WriteAdapterOptions } from './lora/adapter-file.ts';
export { readAnyAdapter } from './lora/formats/read-any-adapter.ts';
export type { ImportedAdapter } from './lora/formats/read-any-adapter.ts';
export { scaleAdapter } from './lora/scale-adapter.ts';
export { combineAdapters } from './lora/combine-adapters.ts';
export type { WeightedAdapter } from './lora/combine-adapters.ts';
export { asLora, resizeAdapter } from './lora/resize-adapter.ts';
export type { ResizedAdapter } from './lora/resize-adapter.ts';
export { describeAdapter } from './export/describe-adapter.ts';
export type { AdapterDescription } from './export/describe-adapter.ts';
export { exportAdapter } from './export/export-adapter.ts';
export type { ExportBase, ExportOptions, ExportResult } from './export/export-adapter.ts';
export type { ExportFormat } from './export/format-names.ts';
export { extractAdapter } from './export/extract-adapter.ts';
export type { ExtractedAdapter, ExtractOptions } from './export/extract-adapter.ts';
export { openTransformerWeights } from './export/transformer-weights.ts';
export type { TransformerWeights } from './export/transformer-weights.ts';
export { createTrainingStep } from './lora/training-step.ts';
export type { TrainingBatch, TrainingStep, TrainingStepOptions } from './lora/training-step.ts';

export { createOptimizer } from './optim/create-optimizer.ts';
export { createSchedule } from './optim/schedules.ts';
export { trainLora } from '../trainers/lora.ts';
