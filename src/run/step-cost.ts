import type { Engine } from '../engine/engine.ts';
import { type GraphCost, graphCost } from '../graph/cost.ts';
import type { Graph } from '../graph/graph.ts';
import { nf4Block } from '../graph/ops/nf4.ts';
import { bytesPerElement, type DType, elementCount } from '../graph/tensor.ts';
import type { TensorLocation, Weights } from '../io/safetensors.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { createTrainingStep } from '../lora/training-step.ts';
import { sanaInputs } from '../models/load-sana-transformer.ts';
import { nf4Kernels } from '../models/nf4-transformer.ts';
import type { BasePrecision } from '../models/precisions.ts';
import { quantizedNames } from '../models/quantized-products.ts';
import { quantizedKernels } from '../models/quantize-transformer.ts';
import type { SanaTransformerConfig } from '../models/sana-transformer-config.ts';
import { sanaTransformer } from '../models/sana-transformer.ts';
import { weightShapes } from '../models/weight-shapes.ts';
import { nf4Names } from '../models/weights.ts';

/** What a training step is of. */
export interface StepShape {
  /** What the transformer's files hold. */
  readonly dtype: DType;
  /** What frozen weights are kept and multiplied in. */
  readonly precision: BasePrecision;
  readonly gradientCheckpointing: boolean;
  readonly batch: number;
  /** Latent height and width, in patches. */
  readonly height: number;
  readonly width: number;
  readonly textTokens: number;
}

/** What a forward and backward pass takes, counted on its graph; no weights are read, and there need be none. */
export async function stepCost(
  config: SanaTransformerConfig,
  modules: AdaptedModules,
  shape: StepShape,
): Promise<GraphCost> {
  const { gradientCheckpointing, batch, height, width, textTokens } = shape;
  const graph = await stepGraph({ config, weights: weightPlaces(config, shape) }, modules, gradientCheckpointing);
  return graphCost(graph, { B: batch, H: height, W: width, T: Math.max(1, Math.round(textTokens)) });
}

/** The graph of a step, as an engine is given it. */
export async function stepGraph(
  model: Parameters<typeof createTrainingStep>[1],
  modules: AdaptedModules,
  gradientCheckpointing: boolean,
): Promise<Graph> {
  let captured: Graph | undefined;
  const engine: Engine = {
    name: 'none',
    compile(graph) {
      captured = graph;
      return Promise.resolve({ run: () => Promise.resolve({}), dispose: () => Promise.resolve() });
    },
    close: () => Promise.resolve(),
  };
  await createTrainingStep(engine, model, modules, { gradientCheckpointing });
  if (!captured) throw new RangeError('stepGraph: nothing was compiled');
  return captured;
}

/** Where a transformer's weights would lie: graphs are built from that, and nothing is read. */
export function weightPlaces(
  config: SanaTransformerConfig,
  { dtype, precision }: Pick<StepShape, 'dtype' | 'precision'>,
): Weights {
  const places = new Map<string, TensorLocation>();
  let offset = 0;
  const place = (name: string, dtype: DType, shape: readonly number[]): void => {
    const byteLength = elementCount(shape) * bytesPerElement(dtype);
    places.set(name, { path: 'model.safetensors', dtype, shape, offset, byteLength });
    offset += byteLength;
  };
  for (const [name, shape] of weightShapes((read) => sanaTransformer(config, read, sanaInputs(config)))) {
    place(name, dtype, shape);
  }
  if (precision === 'nf4') {
    for (const { name, count } of nf4Kernels(config)) {
      const { codes, scales } = nf4Names(name);
      place(codes, 'uint8', [count / 2]);
      place(scales, 'float32', [count / nf4Block]);
    }
  }
  if (precision !== 'int8') return places;
  for (const { module, part, out, inner } of quantizedKernels(config)) {
    const names = quantizedNames(module, part);
    place(names.forward, 'int8', [inner, out]);
    place(names.forwardScales, 'float32', [out]);
    place(names.backward, 'int8', [out, inner]);
    place(names.backwardScales, 'float32', [inner]);
  }
  return places;
}
