import { graphCost, type GraphCost } from '../src/graph/cost.ts';
import type { Graph } from '../src/graph/graph.ts';
import { bytesPerElement, type DType, elementCount } from '../src/graph/tensor.ts';
import type { Weights } from '../src/io/safetensors.ts';
import { adaptedModules } from '../src/lora/adapter-config.ts';
import { createTrainingStep } from '../src/lora/training-step.ts';
import {
  parseSanaTransformerConfig,
  sanaModules,
  type SanaTransformerConfig,
} from '../src/models/sana-transformer-config.ts';
import { sanaInputs } from '../src/models/load-sana-transformer.ts';
import { sanaTransformer } from '../src/models/sana-transformer.ts';
import { weightShapes } from '../src/models/weight-shapes.ts';

/** Modules that LoRA adapts in the two standard steps. */
export const standardTargets = {
  attention: ['to_q', 'to_k', 'to_v'],
  all: ['to_q', 'to_k', 'to_v', 'to_out.0', 'conv_inverted', 'conv_point'],
} as const;

/** Sizes of the standard step: one picture of 512 px, 40 text tokens. */
export const standardSizes = { B: 1, H: 16, W: 16, T: 40 } as const;

/** The 0.6B's shapes, in four layers. */
export function standardConfig(layers = 4): SanaTransformerConfig {
  const json = {
    num_layers: layers,
    num_attention_heads: 36,
    num_cross_attention_heads: 16,
    cross_attention_head_dim: 72,
    cross_attention_dim: 1152,
  };
  return parseSanaTransformerConfig(json, 'config.json');
}

/** Where a transformer's weights would lie: graphs are built from that, and nothing is read. */
export function weightPlaces(config: SanaTransformerConfig, dtype: DType = 'float32'): Weights {
  let offset = 0;
  const shapes = weightShapes((read) => sanaTransformer(config, read, sanaInputs(config)));
  return new Map(
    [...shapes].map(([name, shape]) => {
      const byteLength = elementCount(shape) * bytesPerElement(dtype);
      const place = { path: 'model.safetensors', dtype, shape, offset, byteLength };
      offset += byteLength;
      return [name, place] as const;
    }),
  );
}

/** The graph of a LoRA step of rank 16, as an engine is given it. */
export async function standardStepGraph(
  targets: keyof typeof standardTargets,
  { config = standardConfig(), gradientCheckpointing = false } = {},
): Promise<Graph> {
  let captured: Graph | undefined;
  const engine = {
    name: 'none',
    compile: (graph: Graph) => {
      captured = graph;
      return Promise.resolve({ run: () => Promise.resolve({}), dispose: () => Promise.resolve() });
    },
    close: () => Promise.resolve(),
  };
  const modules = adaptedModules(sanaModules(config), {
    type: 'lora',
    rank: 16,
    alpha: 16,
    rankPattern: {},
    alphaPattern: {},
    targetModules: standardTargets[targets],
    rslora: false,
    dropout: 0,
  });
  await createTrainingStep(engine, { config, weights: weightPlaces(config) }, modules, { gradientCheckpointing });
  if (!captured) throw new RangeError('standardStepGraph: nothing was compiled');
  return captured;
}

/** What the standard steps take, by name: what test/unit/graph/goldens/step-cost.json records. */
export async function standardCosts(): Promise<Record<string, GraphCost>> {
  const costs: Record<string, GraphCost> = {};
  for (const targets of ['attention', 'all'] as const) {
    for (const gradientCheckpointing of [false, true]) {
      const name = `${targets === 'all' ? 'all layers' : 'q, k, v'}${gradientCheckpointing ? ', checkpointing' : ''}`;
      costs[name] = graphCost(await standardStepGraph(targets, { gradientCheckpointing }), standardSizes);
    }
  }
  return costs;
}
