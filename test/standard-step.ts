import { graphCost, type GraphCost } from '../src/graph/cost.ts';
import type { Graph } from '../src/graph/graph.ts';
import { adaptedModules, type AdaptedModules } from '../src/lora/adapter-config.ts';
import {
  parseSanaTransformerConfig,
  sanaModules,
  type SanaTransformerConfig,
} from '../src/models/sana-transformer-config.ts';
import { stepGraph, weightPlaces } from '../src/run/step-cost.ts';

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

/** The graph of a LoRA step of rank 16, as an engine is given it. */
async function standardStepGraph(
  targets: keyof typeof standardTargets,
  precision: 'fp32' | 'int8',
  gradientCheckpointing: boolean,
): Promise<Graph> {
  const config = standardConfig();
  const model = { config, weights: weightPlaces(config, { dtype: 'float32', precision }) };
  return stepGraph(model, standardModules(config, targets), gradientCheckpointing);
}

/** LoRA of rank 16. */
export function standardModules(config: SanaTransformerConfig, targets: keyof typeof standardTargets): AdaptedModules {
  return adaptedModules(sanaModules(config), {
    type: 'lora',
    rank: 16,
    alpha: 16,
    rankPattern: {},
    alphaPattern: {},
    targetModules: standardTargets[targets],
    rslora: false,
    dropout: 0,
  });
}

/** What the standard steps take, by name: what test/unit/graph/goldens/step-cost.json records. */
export async function standardCosts(): Promise<Record<string, GraphCost>> {
  const costs: Record<string, GraphCost> = {};
  for (const targets of ['attention', 'all'] as const) {
    for (const [precision, checkpointing] of [
      ['fp32', false],
      ['fp32', true],
      ['int8', false],
    ] as const) {
      const name = `${targets === 'all' ? 'all layers' : 'q, k, v'}, ${precision}${checkpointing ? ', checkpointing' : ''}`;
      costs[name] = graphCost(await standardStepGraph(targets, precision, checkpointing), standardSizes);
    }
  }
  return costs;
}
