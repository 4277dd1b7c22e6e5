import { type Tensor, tensor } from '../graph/tensor.ts';
import type { StorageDType } from './merged-weights.ts';

/**
 * Finite values rounded to a dtype, to nearest with ties to even. As fromFloat32 does it, bits for bits and several
 * times as fast, which is minutes for a whole model.
 * @param values within what the dtype can hold
 */
export function roundValues(dtype: StorageDType, shape: readonly number[], values: Float32Array): Tensor {
  if (dtype === 'float32') return tensor(dtype, shape, values);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  if (dtype === 'bfloat16') {
    for (let i = 0; i < out.length; i++) {
      const b = bits[i] ?? 0;
      out[i] = (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
    }
  } else for (let i = 0; i < out.length; i++) out[i] = halfBits(bits[i] ?? 0);
  return tensor(dtype, shape, out);
}

/** The bits of the binary16 nearest to a binary32 given by its bits. */
function halfBits(b: number): number {
  const sign = (b >>> 16) & 0x8000;
  const exponent = ((b >>> 23) & 255) - 112; // of the half: biases 127 and 15
  if (exponent < -10) return sign; // less than half of the smallest half, 2^-24
  // Below the smallest normal half the implicit one becomes a bit of the fraction, which loses its last ones.
  const fraction = exponent > 0 ? b & 0x7fffff : (b & 0x7fffff) | 0x800000;
  const lost = exponent > 0 ? 13 : 14 - exponent;
  const kept = (exponent > 0 ? exponent << 10 : 0) + (fraction >>> lost);
  const rest = fraction & ((1 << lost) - 1);
  const half = 1 << (lost - 1);
  // A carry out of the fraction raises the exponent, as it should.
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}
