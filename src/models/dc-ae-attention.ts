/**
 * EfficientViTBlock of AutoencoderDC. Shapes: B batch, C channels, H and W a feature map's height and width, N = H W,
 * D the width of a head, G the heads of all scales.
 */
import { silu } from '../graph/ops/activation.ts';
import { reduceSum, reshape } from '../graph/ops/broadcast.ts';
import { add, div, mul, relu } from '../graph/ops/elementwise.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { concat, split } from '../graph/ops/movement.ts';
import type { Value } from '../graph/value.ts';
import { channelLinear, channelsOf, conv, norm } from './dc-ae-blocks.ts';
import type { DcAeNorm } from './dc-ae-config.ts';
import type { WeightReader } from './weights.ts';

/** Settings of an EfficientViTBlock. */
export interface EfficientVitOptions {
  readonly headDim: number;
  /** Kernel sizes of the further scales. */
  readonly multiscales: readonly number[];
  readonly norm: DcAeNorm;
}

/** EfficientViTBlock: linear attention over all pixels, then a gated convolution. [B, C, H, W] -> [B, C, H, W]. */
export function efficientVitBlock(read: WeightReader, name: string, x: Value, options: EfficientVitOptions): Value {
  return gluMbConv(read, `${name}.conv_out`, linearAttention(read, `${name}.attn`, x, options));
}

/** SanaMultiscaleLinearAttention with its residual. */
function linearAttention(
  read: WeightReader,
  name: string,
  x: Value,
  { headDim, multiscales, norm: type }: EfficientVitOptions,
): Value {
  const [b = 1, , h = 1, w = 1] = x.shape;
  const channels = channelsOf(x);
  const heads = Math.floor(channels / headDim);
  const inner = heads * headDim;
  const qkv = concat(
    ['to_q', 'to_k', 'to_v'].map((part) => channelLinear(read, `${name}.${part}`, x, inner)),
    1,
  ); // [B, 3 inner, H, W]
  const scales = multiscales.map((kernel, i) => {
    const scale = `${name}.to_qkv_multiscale.${i}`;
    const local = conv(read, `${scale}.proj_in`, qkv, { channels: 3 * inner, kernel, groups: 3 * inner, bias: false });
    return conv(read, `${scale}.proj_out`, local, { channels: 3 * inner, groups: 3 * heads, bias: false });
  });
  // A head's q, k and v are 3 D neighbouring channels, although q, k and v of all heads were put one after the other.
  const all = reshape(concat([qkv, ...scales], 1), [b, heads * (1 + multiscales.length), 3 * headDim, -1]); // [B, G, 3 D, N]
  const [q, k, v] = split(all, 2, [headDim, headDim, headDim]); // [B, G, D, N]
  if (!q || !k || !v) throw new RangeError('AutoencoderDC: q, k and v expected');
  const attended = reshape(attend(relu(q), relu(k), v), [b, inner * (1 + multiscales.length), h, w]);
  return add(norm(read, `${name}.norm_out`, channelLinear(read, `${name}.to_out`, attended, channels), type), x);
}

/**
 * y_n = sum_m v_m (k_m . q_n) / (sum_m k_m . q_n + eps), with the sums over m first. q, k, v and y [B, G, D, N].
 * diffusers takes the products in another order where N <= D, which is the same sum.
 */
function attend(q: Value, k: Value, v: Value): Value {
  const weighted = matMul(matMul(v, k, { transB: true }), q); // [B, G, D, D] x [B, G, D, N]
  const total = matMul(reduceSum(k, [-1]), q, { transA: true }); // [B, G, 1, D] x [B, G, D, N]
  return div(weighted, add(total, 1e-15));
}

/** GLUMBConv with norm and residual: x + norm(point(a silu(g))), [a, g] = depthwise(silu(inverted(x))). */
function gluMbConv(read: WeightReader, name: string, x: Value): Value {
  const channels = channelsOf(x);
  const hidden = 4 * channels;
  const wide = silu(conv(read, `${name}.conv_inverted`, x, { channels: 2 * hidden }));
  const local = conv(read, `${name}.conv_depth`, wide, { channels: 2 * hidden, kernel: 3, groups: 2 * hidden }); // [B, 2 hidden, H, W]
  const [a, gate] = split(local, 1, [hidden, hidden]);
  if (!a || !gate) throw new RangeError('AutoencoderDC: two halves expected');
  const narrow = conv(read, `${name}.conv_point`, mul(a, silu(gate)), { channels, bias: false });
  return add(norm(read, `${name}.norm`, narrow, 'rms_norm'), x);
}
