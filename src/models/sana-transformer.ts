import { type Dim, floorDivDim, mulDims } from '../graph/dim.ts';
import { reduceSum, reshape } from '../graph/ops/broadcast.ts';
import { add, div, mul, relu } from '../graph/ops/elementwise.ts';
import { geluTanh, silu, softmax } from '../graph/ops/activation.ts';
import { conv2d, pixelUnshuffle } from '../graph/ops/conv.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { concat, split, transpose } from '../graph/ops/movement.ts';
import { layerNorm, rmsNorm } from '../graph/ops/normalization.ts';
import type { Value } from '../graph/value.ts';
import {
  biasAlong,
  type Adapt,
  exactProducts,
  type Layout,
  type Products,
  type Projection,
  swapLayout,
} from './projection.ts';
import { hiddenWidth, innerWidth, sanaModules, type SanaTransformerConfig } from './sana-transformer-config.ts';
import { weightParts, type WeightReader } from './weights.ts';

// B batch, C latent channels, H W latent size, N = H W / p^2 image tokens, T text tokens, D width, E text width.

/** What the transformer is computed from. */
export interface SanaInputs {
  /** Noisy latents [B, C, H, W]. */
  readonly hiddenStates: Value;
  /** The text encoder's output [B, T, E]. */
  readonly encoderHiddenStates: Value;
  /** Added to the cross-attention scores [B, 1, 1, T]; none where no text row is padding. */
  readonly encoderAttentionBias?: Value;
  /** sinusoidalEmbedding of the timesteps [B, 256]. */
  readonly timestepEmbedding: Value;
  /** sinusoidalEmbedding of the scaled guidance [B, 256], for models with guidance_embeds. */
  readonly guidanceEmbedding?: Value;
  /** sincosPositions [1, N, D], for models with an interpolation_scale. */
  readonly positions?: Value;
}

/** The transformer's result, and what checkpointing keeps. */
export interface SanaOutputs {
  /** The predicted velocity [B, C, H, W]. */
  readonly sample: Value;
  /** The input of each block and the output of the last [B, N, D]. */
  readonly boundaries: readonly Value[];
}

/**
 * SanaTransformer2DModel as diffusers computes it (models/transformers/sana_transformer.py; arXiv 2410.10629).
 *
 * @param take the model's weights
 * @param adapt lets an adapter change each projection's result
 * @param products computes projections
 */
export function sanaTransformer(
  config: SanaTransformerConfig,
  take: WeightReader,
  inputs: SanaInputs,
  adapt: Adapt = ({ y }) => y,
  products: Products = exactProducts,
): SanaOutputs {
  const modules = sanaModules(config);
  const d = innerWidth(config);

  function linear(
    module: string,
    x: Value,
    from: Layout,
    to: Layout,
    { siblings = [module], part }: Pick<Projection, 'siblings' | 'part'> = {},
  ): Value {
    const found = modules.get(module);
    if (!found) throw new RangeError(`sanaTransformer: no module ${module}`);
    const { inFeatures, outFeatures, kernel: side, bias: hasBias } = found;
    const matrix = [outFeatures, inFeatures * (side ?? 1) ** 2];
    const stored = side === undefined ? matrix : [outFeatures, inFeatures, side, side];
    const kernel = take(`${module}.weight`, stored, matrix);
    const given = products.layoutOf(module, to);
    const offset = hasBias ? biasAlong(take(`${module}.bias`, [outFeatures]), given) : undefined;
    const bias = offset && { bias: offset };
    const projection = { module, x, from, kernel, ...bias, to: given, siblings, ...(part && { part }) };
    const y = adapt({ ...projection, y: products.multiply(projection) });
    return given === to ? y : swapLayout(y);
  }

  const [b = 1, , height = 1, width = 1] = inputs.hiddenStates.shape;
  const size = [floorDivDim(height, config.patch_size), floorDivDim(width, config.patch_size)] as const;
  const n = mulDims(size[0], size[1]);
  const rows = (x: Value): Value => reshape(x, [b, 1, -1]);

  // 1. A patch is a row of its C p^2 numbers, so that embedding it is a linear map.
  const patches =
    config.patch_size === 1 ? inputs.hiddenStates : pixelUnshuffle(inputs.hiddenStates, config.patch_size);
  const columns = reshape(patches, [b, config.in_channels * config.patch_size ** 2, n]);
  let hidden = linear('patch_embed.proj', columns, 'columns', 'rows'); // [B, N, D]
  if (inputs.positions) hidden = add(hidden, inputs.positions);

  // 2. Time: six modulations for all blocks, and one for the output.
  const embed = (prefix: string, x: Value): Value =>
    linear(`${prefix}.linear_2`, silu(linear(`${prefix}.linear_1`, rows(x), 'rows', 'rows')), 'rows', 'rows');
  const time = config.guidance_embeds ? 'time_embed' : 'time_embed.emb';
  let embeddedTime = embed(`${time}.timestep_embedder`, inputs.timestepEmbedding); // [B, 1, D]
  if (inputs.guidanceEmbedding)
    embeddedTime = add(embeddedTime, embed('time_embed.guidance_embedder', inputs.guidanceEmbedding));
  const modulation = reshape(linear('time_embed.linear', silu(embeddedTime), 'rows', 'rows'), [b, 6, d]);

  // 3. Text.
  const projected = geluTanh(linear('caption_projection.linear_1', inputs.encoderHiddenStates, 'rows', 'rows'));
  const caption = linear('caption_projection.linear_2', projected, 'rows', 'rows');
  const text = mul(rmsNorm(caption, 1e-5), take('caption_norm.weight', [d])); // [B, T, D]

  const boundaries = [hidden];
  for (let layer = 0; layer < config.num_layers; layer++) {
    hidden = block(`transformer_blocks.${layer}`, hidden);
    boundaries.push(hidden);
  }

  // 4. Output.
  const table = add(take('scale_shift_table', [2, d]), embeddedTime); // [B, 2, D]
  const [shift = table, scale = table] = split(table, 1, [1, 1]);
  const normed = modulate(layerNorm(hidden, 1e-6), shift, scale);
  const p = config.patch_size;
  const channels = config.out_channels ?? config.in_channels;
  const out = linear('proj_out', normed, 'rows', 'columns'); // [B, p p C, N]
  if (p === 1) return { sample: reshape(out, [b, channels, ...size]), boundaries };
  // A patch's numbers are ordered (row, column, channel).
  const blocks = transpose(reshape(out, [b, p, p, channels, ...size]), [0, 3, 4, 1, 5, 2]);
  return { sample: reshape(blocks, [b, channels, height, width]), boundaries };

  function block(name: string, x: Value): Value {
    const modulations = add(take(`${name}.scale_shift_table`, [6, d]), modulation); // [B, 6, D]
    const [shiftMsa = x, scaleMsa = x, gateMsa = x, shiftMlp = x, scaleMlp = x, gateMlp = x] = split(
      modulations,
      1,
      [1, 1, 1, 1, 1, 1],
    );

    const attended = linearAttention(`${name}.attn1`, modulate(layerNorm(x, config.norm_eps), shiftMsa, scaleMsa));
    const afterSelf = add(x, mul(gateMsa, attended));
    const afterCross = add(crossAttention(`${name}.attn2`, afterSelf), afterSelf);

    let normed = layerNorm(afterCross, config.norm_eps);
    if (config.norm_elementwise_affine) {
      normed = add(mul(normed, take(`${name}.norm2.weight`, [d])), take(`${name}.norm2.bias`, [d]));
    }
    return add(afterCross, mul(gateMlp, feedForward(`${name}.ff`, modulate(normed, shiftMlp, scaleMlp))));
  }

  /** q, k [B, D, n] normed over all heads together. */
  function normalizeHeads(name: string, x: Value): Value {
    if (config.qk_norm === null) return x;
    return mul(rmsNorm(x, 1e-5, 1), reshape(take(`${name}.weight`, [d]), [d, 1]));
  }

  /**
   * Linear attention: with q, k = relu of the projections and S = sum_n v_n k_n^T, z = sum_n k_n,
   * out_n = S q_n / (z^T q_n + 1e-15). Heads are [B, h, D / h, N] throughout.
   */
  function linearAttention(name: string, x: Value): Value {
    const heads = [b, config.num_attention_heads, config.attention_head_dim, n];
    const names = ['to_q', 'to_k', 'to_v'].map((part) => `${name}.${part}`);
    const columns = (part: 'q' | 'k' | 'v'): Value =>
      linear(`${name}.to_${part}`, x, 'rows', 'columns', { siblings: names });
    const q = relu(reshape(normalizeHeads(`${name}.norm_q`, columns('q')), heads));
    const k = relu(reshape(normalizeHeads(`${name}.norm_k`, columns('k')), heads));
    const v = reshape(columns('v'), heads);
    const states = matMul(v, k, { transB: true }); // [B, h, D / h, D / h]
    const normalizer = matMul(reduceSum(k, [-1]), q, { transA: true }); // [B, h, 1, N]
    const out = div(matMul(states, q), add(normalizer, 1e-15));
    return linear(`${name}.to_out.0`, reshape(out, [b, d, n]), 'columns', 'rows');
  }

  /** softmax(q k^T / sqrt(D / h) + bias) v over the text. */
  function crossAttention(name: string, x: Value): Value {
    const t = text.shape[1] ?? 1;
    const heads = (value: Value, tokens: Dim): Value =>
      reshape(value, [b, config.num_cross_attention_heads, config.cross_attention_head_dim, tokens]);
    const q = heads(normalizeHeads(`${name}.norm_q`, linear(`${name}.to_q`, x, 'rows', 'columns')), n);
    const names = [`${name}.to_k`, `${name}.to_v`];
    const k = heads(
      normalizeHeads(`${name}.norm_k`, linear(`${name}.to_k`, text, 'rows', 'columns', { siblings: names })),
      t,
    );
    const v = heads(linear(`${name}.to_v`, text, 'rows', 'columns', { siblings: names }), t);
    let scores = matMul(q, mul(k, config.cross_attention_head_dim ** -0.5), { transA: true }); // [B, h, N, T]
    if (inputs.encoderAttentionBias) scores = add(scores, inputs.encoderAttentionBias);
    const out = matMul(v, softmax(scores), { transB: true }); // [B, h, D / h, N]
    return linear(`${name}.to_out.0`, reshape(out, [b, d, n]), 'columns', 'rows');
  }

  /** GLUMBConv: up to 2 H channels, SiLU, 3x3 depthwise, half gated by the SiLU of the other half, down to D. */
  function feedForward(name: string, x: Value): Value {
    const h = hiddenWidth(config);
    const module = `${name}.conv_inverted`;
    const layout = products.layoutOf(module, 'columns');
    const count = products.partsOf(module);
    const kernels = weightParts(take(`${name}.conv_depth.weight`, [2 * h, 1, 3, 3]), count);
    const biases = weightParts(take(`${name}.conv_depth.bias`, [2 * h]), count);
    // Channels in groups, each from the product to the gates, and each of tensors that a cache holds.
    const parts = kernels.map((kernel, index) => {
      const inverted = silu(linear(module, x, 'rows', layout, { part: { index, count } })); // [B, 2 H / count, N], or rows
      const bias = biases[index];
      return depthwise(inverted, layout, kernel, bias);
    });
    const channels = layout === 'rows' ? 2 : 1;
    const halves = parts.length === 1 ? parts.flatMap((all) => split(all, channels, [h, h])) : parts;
    const gates = halves.slice(halves.length / 2);
    const gated = gates.map((gate, i) => mul(halves[i] ?? gate, silu(gate)));
    return linear(`${name}.conv_point`, concat(gated, channels), layout, 'rows');
  }

  /** A 3x3 convolution of each channel. x [B, C, N] or [B, N, C], kernel [C, 1, 3, 3], bias [C] */
  function depthwise(x: Value, layout: Layout, kernel: Value, bias?: Value): Value {
    const groups = Number(kernel.shape[0]);
    // Onnxruntime makes one step of these transposes and of bringing the picture into the order of its convolution.
    const picture =
      layout === 'rows' ? transpose(reshape(x, [b, ...size, groups]), [0, 3, 1, 2]) : reshape(x, [b, groups, ...size]);
    const convolved = conv2d(picture, kernel, { padding: 1, groups, ...(bias && { bias }) });
    return layout === 'rows' ? reshape(transpose(convolved, [0, 2, 3, 1]), x.shape) : reshape(convolved, x.shape);
  }
}

/** x (1 + scale) + shift; shift and scale [B, 1, D]. */
function modulate(x: Value, shift: Value, scale: Value): Value {
  return add(mul(x, add(scale, 1)), shift);
}
