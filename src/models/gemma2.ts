import { createGraph, type Graph } from '../graph/graph.ts';
import { geluTanh, softmax } from '../graph/ops/activation.ts';
import { reshape } from '../graph/ops/broadcast.ts';
import { add, mul, sub, tanh } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { concat, slice } from '../graph/ops/movement.ts';
import { rmsNorm } from '../graph/ops/normalization.ts';
import { input, type Value } from '../graph/value.ts';
import { checkClass, openCheckpoint } from '../io/checkpoint.ts';
import type { Weights } from '../io/safetensors.ts';
import { checkNoUnknownTensors, takeTensor } from '../io/take-tensor.ts';
import { type Gemma2Config, gemma2LayerTensors, parseGemma2Config } from './gemma2-config.ts';
import { project } from './projection.ts';
import type { WeightReader } from './weights.ts';

// Shape letters: N tokens, D hidden_size, I intermediate_size, h head_dim, K key-value heads, G query heads per
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
 * x [K, G, h, N], cos and sin [h/2, N]
 */
function rotate(x: Value, cos: Value, sin: Value, headDim: number): Value {
  const a = slice(x, 2, 0, headDim / 2);
  const b = slice(x, 2, headDim / 2, headDim);
  return concat([sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin))], 2);
}

/** Grouped-query attention with soft-capped logits. x [N, D] -> [N, D] */
function attention(config: Gemma2Config, read: WeightReader, x: Value): Value {
  const { hidden_size: d, head_dim: h, num_key_value_heads: k, num_attention_heads: heads } = config;
  const cos = input('cos', [h / 2, 'N']);
  const sin = input('sin', [h / 2, 'N']);
  const mask = input('mask', ['N', 'N']);

  // Tokens as columns: heads and their groups are axes of the products as they stand, and nothing is transposed or
  // repeated. [N, D] -> [K, G, h, N]
  const headsOf = (name: string, count: number): Value => {
    const y = project(x, 'rows', read(`self_attn.${name}.weight`, [count * h, d]), 'columns');
    const biased = config.attention_bias ? add(y, read(`self_attn.${name}.bias`, [count * h], [count * h, 1])) : y;
    return reshape(biased, [k, count / k, h, 'N']);
  };
  const queries = rotate(headsOf('q_proj', heads), cos, sin, h);
  const keys = rotate(headsOf('k_proj', k), cos, sin, h); // [K, 1, h, N]
  const values = headsOf('v_proj', k);

  // cap tanh(q k / (sqrt(query_pre_attn_scalar) cap)), [K, G, N, N]. The factors are applied to q, which is smaller.
  const cap = config.attn_logit_softcapping;
  const scaled = mul(queries, config.query_pre_attn_scalar ** -0.5 / (cap ?? 1));
  const logits = matMul(scaled, keys, { transA: true });
  const probabilities = softmax(add(cap === null ? logits : mul(tanh(logits), cap), mask));

  const context = reshape(matMul(values, probabilities, { transB: true }), [heads * h, 'N']);
  const y = project(context, 'columns', read('self_attn.o_proj.weight', [d, heads * h]), 'rows');
  return config.attention_bias ? add(y, read('self_attn.o_proj.bias', [d])) : y;
}

/** GeGLU: W_down (gelu(W_gate x) * W_up x). x [N, D] -> [N, D] */
function feedForward(config: Gemma2Config, read: WeightReader, x: Value): Value {
  const { hidden_size: d, intermediate_size: i } = config;
  const gate = project(x, 'rows', read('mlp.gate_proj.weight', [i, d]), 'columns'); // [I, N]
  const up = project(x, 'rows', read('mlp.up_proj.weight', [i, d]), 'columns');
  return project(mul(geluTanh(gate), up), 'columns', read('mlp.down_proj.weight', [d, i]), 'rows');
}

/**
 * One decoder layer: input `hiddenStates` [N, D], `cos` and `sin` [h/2, N] (the angles of the tokens' positions) and
 * `mask` [N, N] (0 where a token sees another, a large negative number elsewhere) -> `output` [N, D].
 * All layers have this graph: what their types differ in is the mask.
 * @param read the layer's weights, by their names below `layers.N.`
 */
export function gemma2Layer(config: Gemma2Config, read: WeightReader): Graph {
  const { hidden_size: d, rms_norm_eps: eps } = config;
  const normed = (x: Value, name: string): Value => norm(x, read(`${name}.weight`, [d]), eps);
  const x = input('hiddenStates', ['N', d]);
  const attended = attention(config, read, normed(x, 'input_layernorm'));
  const y = add(x, normed(attended, 'post_attention_layernorm'));
  const fed = feedForward(config, read, normed(y, 'pre_feedforward_layernorm'));
  return createGraph({ output: add(y, normed(fed, 'post_feedforward_layernorm')) });
}

/** The norm after the last layer: `hiddenStates` [N, D] -> `output` [N, D]. */
export function gemma2FinalNorm(config: Gemma2Config, read: WeightReader): Graph {
  const { hidden_size: d, rms_norm_eps: eps } = config;
  return createGraph({ output: norm(input('hiddenStates', ['N', d]), read('norm.weight', [d]), eps) });
}
