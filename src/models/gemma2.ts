import { mulDims } from '../graph/dim.ts';
import { createGraph, type Graph } from '../graph/graph.ts';
import { geluTanh, softmax } from '../graph/ops/activation.ts';
import { reshape } from '../graph/ops/broadcast.ts';
import { add, mul, sub, tanh } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { concat, slice, transpose } from '../graph/ops/movement.ts';
import { rmsNorm } from '../graph/ops/normalization.ts';
import { input, type Value } from '../graph/value.ts';
import { checkClass, openCheckpoint } from '../io/checkpoint.ts';
import type { Weights } from '../io/safetensors.ts';
import { checkNoUnknownTensors, takeTensor } from '../io/take-tensor.ts';
import { type Gemma2Config, gemma2LayerTensors, parseGemma2Config } from './gemma2-config.ts';
import type { Gemma2Layer } from './gemma2-layer.ts';
import type { WeightReader } from './weights.ts';

// Shape letters: N tokens, L tokens that they see, D hidden_size, I intermediate_size, h head_dim, K key-value heads, G query heads per
// key-value head. Formulas: transformers, models/gemma2/modeling_gemma2.py.

/** Gemma-2's body: its config, and where its weights are. None of them is read yet. */
export interface Gemma2 {
  readonly config: Gemma2Config;
  readonly weights: Weights;
  /** What the names of all its tensors begin with: '' in a saved Gemma2Model, 'model.' in a Gemma2ForCausalLM. */
  readonly prefix: '' | 'model.';
}

/**
 * Opens a text encoder's folder (config.json and safetensors, single or sharded) and checks its tensors' names, shapes
 * and dtypes.
 * @throws UserError for a missing file, another model's class, a missing, unknown or misshaped tensor
 */
export async function loadGemma2(folder: string, { variant }: { readonly variant?: string } = {}): Promise<Gemma2> {
  const checkpoint = await openCheckpoint(folder, { baseName: 'model', ...(variant !== undefined && { variant }) });
  // A config that was saved alone names no class, but always its model_type.
  if (checkpoint.config['architectures'] !== undefined)
    checkClass(checkpoint, 'architectures', ['Gemma2Model', 'Gemma2ForCausalLM']);
  const config = parseGemma2Config(checkpoint.config, checkpoint.configPath);
  return checkGemma2(config, checkpoint.tensors);
}

/**
 * Gemma-2 from its config and weights.
 * @throws UserError for a missing, unknown or misshaped tensor
 */
export function checkGemma2(config: Gemma2Config, weights: Weights): Gemma2 {
  const prefix = weights.has('model.embed_tokens.weight') ? 'model.' : '';
  const known = new Set<string>();
  const check = (name: string, shape: readonly number[]): void => {
    takeTensor(weights, prefix + name, shape);
    known.add(prefix + name);
  };
  check('embed_tokens.weight', [config.vocab_size, config.hidden_size]);
  check('norm.weight', [config.hidden_size]);
  const shapes = gemma2LayerTensors(config);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [name, shape] of shapes) check(`layers.${layer}.${name}`, shape);
  }
  // The head that predicts tokens is not used; old versions also saved the rotation's constant frequencies.
  const ignored = /^lm_head\.weight$|\.rotary_emb\.inv_freq$/;
  for (const name of weights.keys()) if (ignored.test(name)) known.add(name);
  checkNoUnknownTensors(weights, known);
  return { config, weights, prefix };
}

/** x / rms(x) (1 + weight): Gemma stores its scales minus 1. x [N, D] */
function norm(x: Value, scale: Value, eps: number): Value {
  return mul(rmsNorm(x, eps), add(scale, 1));
}

/**
 * Rotary position embedding. Channels i and i + h/2 of a head are turned together by the angle p theta^(-2i/h).
 * x [N, heads, h], cos and sin [N, 1, h/2]
 */
function rotate(x: Value, cos: Value, sin: Value, headDim: number): Value {
  const a = slice(x, 2, 0, headDim / 2);
  const b = slice(x, 2, headDim / 2, headDim);
  return concat([sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin))], 2);
}

/** Adds a projection's bias where the model has any. x [N, inner] -> [N, out] */
function projection(config: Gemma2Config, layer: Gemma2Layer, x: Value, name: string, out: number): Value {
  const inner = name === 'o_proj' ? config.num_attention_heads * config.head_dim : config.hidden_size;
  const y = layer.multiply(x, `self_attn.${name}`, [out, inner]);
  return config.attention_bias ? add(y, layer.read(`self_attn.${name}.bias`, [out])) : y;
}

/** GeGLU: W_down (gelu(W_gate x) * W_up x). x [N, D] -> [N, D] */
function feedForward({ hidden_size: d, intermediate_size: i }: Gemma2Config, layer: Gemma2Layer, x: Value): Value {
  const gate = layer.multiply(x, 'mlp.gate_proj', [i, d]); // [N, I]
  const up = layer.multiply(x, 'mlp.up_proj', [i, d]);
  return layer.multiply(mul(geluTanh(gate), up), 'mlp.down_proj', [d, i]);
}

function normed(config: Gemma2Config, read: WeightReader, x: Value, name: string): Value {
  return norm(x, read(`${name}.weight`, [config.hidden_size]), config.rms_norm_eps);
}

// A decoder layer is three graphs. What is computed a row at a time runs on rows of all sequences together; attention
// runs for each segment alone, so that no sum in it is as long as other sequences make it. All layers have these graphs:
// what their types differ in is the mask.

/**
 * The first part of a layer: `hiddenStates` [N, D], `cos` and `sin` [N, 1, h/2] (the angles of the tokens' positions) ->
 * `queries` [N, K G, h] and `keys` [N, K, h], both rotated, and `values` [N, K, h].
 */
export function gemma2Projections(config: Gemma2Config, layer: Gemma2Layer): Graph {
  const { hidden_size: d, head_dim: h, num_key_value_heads: k, num_attention_heads: heads } = config;
  const cos = input('cos', ['N', 1, h / 2]);
  const sin = input('sin', ['N', 1, h / 2]);
  const x = normed(config, layer.read, input('hiddenStates', ['N', d]), 'input_layernorm');
  const headsOf = (name: string, count: number): Value =>
    reshape(projection(config, layer, x, name, count * h), ['N', count, h]);
  return createGraph({
    queries: rotate(headsOf('q_proj', heads), cos, sin, h),
    keys: rotate(headsOf('k_proj', k), cos, sin, h),
    values: headsOf('v_proj', k),
  });
}

/**
 * Grouped-query attention with soft-capped logits: `queries` [N, K G, h], `keys` and `values` [L, K, h], `mask` [N, L]
 * (0 where a token sees another, a large negative number elsewhere) -> `context` [N, K G h].
 */
export function gemma2Attention(config: Gemma2Config): Graph {
  const { head_dim: h, num_key_value_heads: k, num_attention_heads: heads } = config;
  const g = heads / k;
  // A group's queries stand below each other, so that they share a product with their keys, which are not repeated.
  const queries = reshape(input('queries', ['N', heads, h]), ['N', k, g, h]);
  const grouped = reshape(transpose(queries, [1, 2, 0, 3]), [k, mulDims(g, 'N'), h]); // [K, G N, h]
  const keys = transpose(input('keys', ['L', k, h]), [1, 0, 2]); // [K, L, h]
  const values = transpose(input('values', ['L', k, h]), [1, 0, 2]);
  const mask = input('mask', ['N', 'L']);

  // cap tanh(q k / (sqrt(query_pre_attn_scalar) cap)). The factors are applied to q, which is smaller.
  const cap = config.attn_logit_softcapping;
  const scaled = mul(grouped, config.query_pre_attn_scalar ** -0.5 / (cap ?? 1));
  const products = matMul(scaled, keys, { transB: true }); // [K, G N, L]
  const logits = reshape(cap === null ? products : mul(tanh(products), cap), [k, g, 'N', 'L']);
  const probabilities = reshape(softmax(add(logits, mask)), [k, mulDims(g, 'N'), 'L']);

  const context = reshape(matMul(probabilities, values), [k, g, 'N', h]);
  return createGraph({ context: reshape(transpose(context, [2, 0, 1, 3]), ['N', heads * h]) });
}

/**
 * The last part of a layer: `hiddenStates` [N, D] as they came in and attention's `context` [N, K G h] -> `output` [N, D].
 */
export function gemma2Output(config: Gemma2Config, layer: Gemma2Layer): Graph {
  const { hidden_size: d, head_dim: h, num_attention_heads: heads } = config;
  const context = input('context', ['N', heads * h]);
  const attended = projection(config, layer, context, 'o_proj', d);
  const y = add(input('hiddenStates', ['N', d]), normed(config, layer.read, attended, 'post_attention_layernorm'));
  const fed = feedForward(config, layer, normed(config, layer.read, y, 'pre_feedforward_layernorm'));
  return createGraph({ output: add(y, normed(config, layer.read, fed, 'post_feedforward_layernorm')) });
}

/** The norm after the last layer: `hiddenStates` [N, D] -> `output` [N, D]. */
export function gemma2FinalNorm(config: Gemma2Config, read: WeightReader): Graph {
  const { hidden_size: d, rms_norm_eps: eps } = config;
  return createGraph({ output: norm(input('hiddenStates', ['N', d]), read('norm.weight', [d]), eps) });
}
