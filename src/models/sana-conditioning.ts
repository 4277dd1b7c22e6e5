import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { timestepChannels } from './sana-transformer-config.ts';

/**
 * Sinusoidal embedding: [cos(t f_i), sin(t f_i)], f_i = 10000^(-i / 128).
 * Rounds as float32 arithmetic does, since angles reach 1000 and errors in them are not small.
 *
 * @param timesteps [B]
 * @returns [B, 256]
 */
export function sinusoidalEmbedding(timesteps: readonly number[] | Float32Array): Tensor {
  const half = timestepChannels / 2;
  const data = new Float32Array(timesteps.length * timestepChannels);
  for (const [b, t] of timesteps.entries()) {
    for (let i = 0; i < half; i++) {
      const exponent = Math.fround(Math.fround(Math.fround(-Math.log(10000)) * i) / half);
      const angle = Math.fround(Math.fround(t) * Math.fround(Math.exp(exponent)));
      data[b * timestepChannels + i] = Math.cos(angle);
      data[b * timestepChannels + half + i] = Math.sin(angle);
    }
  }
  return float32([timesteps.length, timestepChannels], data);
}

/**
 * What is added to the attention scores of each text row: 0 where the mask is 1, -10000 where it is 0.
 *
 * @param mask [B, T] of 1 (a token) and 0 (padding)
 * @returns [B, 1, 1, T]
 */
export function attentionBias(mask: Tensor): Tensor {
  const [b = 1, t = 1] = mask.shape;
  return float32(
    [b, 1, 1, t],
    toFloat32(mask).map((keep) => (1 - keep) * -10000),
  );
}

/**
 * Fixed positions of models with an interpolation scale (4K): sines and cosines of the row in the second half of the
 * channels, of the column in the first, as diffusers' get_2d_sincos_pos_embed orders them.
 *
 * @param height, width in patches
 * @param baseSize patches along the side of the picture that the model was trained on
 * @returns [1, height * width, channels]
 */
export function sincosPositions(
  channels: number,
  height: number,
  width: number,
  { baseSize, interpolationScale }: { readonly baseSize: number; readonly interpolationScale: number },
): Tensor {
  const quarter = channels / 4;
  const data = new Float32Array(height * width * channels);
  const position = (index: number, size: number): number => index / (size / baseSize) / interpolationScale;
  const periods = Array.from({ length: quarter }, (_, i) => 10000 ** (i / quarter));
  // Tokens only repeat the waves of their column and row.
  const waves = (size: number): readonly Float32Array[] =>
    Array.from({ length: size }, (_, index) => {
      const wave = new Float32Array(2 * quarter);
      for (const [i, period] of periods.entries()) {
        const angle = position(index, size) / period;
        wave[i] = Math.sin(angle);
        wave[quarter + i] = Math.cos(angle);
      }
      return wave;
    });
  const columns = waves(width);
  for (const [row, wave] of waves(height).entries()) {
    for (const [column, other] of columns.entries()) {
      const at = (row * width + column) * channels;
      data.set(other, at);
      data.set(wave, at + 2 * quarter);
    }
  }
  return float32([1, height * width, channels], data);
}
