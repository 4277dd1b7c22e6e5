import { z } from 'zod';
import { UserError } from '../errors.ts';

const count = z.int().positive();
const layerTypeSchema = z.enum(['sliding_attention', 'full_attention']);

// Fields and defaults of transformers' Gemma2Config. Version 5 writes rope_parameters and layer_types; version 4 wrote
// rope_theta, and its layers alternate by index.
const schema = z.object({
  model_type: z.literal('gemma2'),
  vocab_size: count.default(256_000),
  hidden_size: count.default(2304),
  intermediate_size: count.default(9216),
  num_hidden_layers: count.default(26),
  num_attention_heads: count.default(8),
  num_key_value_heads: count.default(4),
  head_dim: count.multipleOf(2).default(256),
  hidden_activation: z
    .literal('gelu_pytorch_tanh')
    .nullish()
    .transform(() => 'gelu_pytorch_tanh' as const),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_parameters: z
    .object({ rope_type: z.literal('default').default('default'), rope_theta: z.number().positive().optional() })
    .nullish(),
  rope_scaling: z.null().optional(),
  attention_bias: z.boolean().default(false),
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: count.nullable().default(4096),
  layer_types: z.array(layerTypeSchema).nullish(),
  attn_logit_softcapping: z.number().positive().nullable().default(50),
  use_bidirectional_attention: z.literal(false).nullish(),
});

/** What a layer's queries see: the tokens up to themselves, or the last `sliding_window` of those. */
export type Gemma2LayerType = z.output<typeof layerTypeSchema>;

/** Gemma2Model's configuration, with transformers' names and defaults. */
export interface Gemma2Config extends Readonly<
  Omit<z.output<typeof schema>, 'layer_types' | 'rope_theta' | 'rope_parameters' | 'rope_scaling'>
> {
  /** One a layer. */
  readonly layer_types: readonly Gemma2LayerType[];
  readonly rope_theta: number;
}

/**
 * Reads a text encoder's config.json, as transformers 4 or 5 writes it.
 * @throws UserError naming the file and every field that is wrong
 */
export function parseGemma2Config(json: unknown, path: string): Gemma2Config {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new UserError(
      `${path} is no config of a Gemma-2 model that can be run here: ${problems.join('; ')}; use Sana's text_encoder folder.`,
    );
  }
  const { layer_types: types, rope_theta: theta, rope_parameters: rope, rope_scaling: _, ...config } = parsed.data;
  const { num_hidden_layers: layers, num_attention_heads: heads, num_key_value_heads: keyValueHeads } = config;
  const layerTypes =
    types ??
    Array.from({ length: layers }, (_, layer): Gemma2LayerType =>
      layer % 2 === 0 ? 'sliding_attention' : 'full_attention',
    );
  const problem =
    heads % keyValueHeads !== 0
      ? `num_attention_heads (${heads}) is no multiple of num_key_value_heads (${keyValueHeads})`
      : layerTypes.length !== layers
        ? `layer_types has ${layerTypes.length} entries and num_hidden_layers is ${layers}`
        : config.sliding_window === null && layerTypes.includes('sliding_attention')
          ? 'sliding_window is null, and layer_types has sliding_attention'
          : undefined;
  if (problem !== undefined) throw new UserError(`${path}: ${problem}; download the text encoder again.`);
  return { ...config, layer_types: layerTypes, rope_theta: rope?.rope_theta ?? theta ?? 10_000 };
}

/** The shape of every tensor of one layer, by its name below `layers.N.`. */
export function gemma2LayerTensors(config: Gemma2Config): ReadonlyMap<string, readonly number[]> {
  const { hidden_size: d, intermediate_size: mlp, head_dim: headDim } = config;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  const shapes = new Map<string, readonly number[]>();
  const norms = [
    'input_layernorm',
    'post_attention_layernorm',
    'pre_feedforward_layernorm',
    'post_feedforward_layernorm',
  ];
  for (const name of norms) shapes.set(`${name}.weight`, [d]);
  const projections: readonly (readonly [name: string, out: number, inner: number])[] = [
    ['q_proj', queries, d],
    ['k_proj', keys, d],
    ['v_proj', keys, d],
    ['o_proj', d, queries],
  ];
  for (const [name, out, inner] of projections) {
    shapes.set(`self_attn.${name}.weight`, [out, inner]);
    if (config.attention_bias) shapes.set(`self_attn.${name}.bias`, [out]);
  }
  shapes.set('mlp.gate_proj.weight', [mlp, d]);
  shapes.set('mlp.up_proj.weight', [mlp, d]);
  shapes.set('mlp.down_proj.weight', [d, mlp]);
  return shapes;
}
