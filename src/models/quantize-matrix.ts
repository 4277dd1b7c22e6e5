import { toFloat32 } from '../graph/tensor.ts';
import { isTensorLocation, readTensor, type Weights } from '../io/safetensors.ts';

/** A weight's numbers. */
export async function readWeight(weights: Weights, name: string): Promise<Float32Array> {
  const found = weights.get(name);
  if (!found) throw new RangeError(`readWeight: no ${name}`);
  return toFloat32(isTensorLocation(found) ? await readTensor(found) : found);
}

/** The scale of each row of a kernel [out, inner]: its largest size is `limit` steps. */
export function outputScales(kernel: Float32Array, out: number, inner: number, limit: number): Float32Array {
  const scales = new Float32Array(out);
  for (let o = 0; o < out; o++) {
    let largest = 0;
    for (let i = o * inner; i < (o + 1) * inner; i++) largest = Math.max(largest, Math.abs(kernel[i] ?? 0));
    scales[o] = largest / limit;
  }
  return scales;
}

/** Outputs that are written side by side: a line of a processor's cache. */
const outputBlock = 64;

/** [out, inner] -> int8 [inner, out], rows by their scales. */
export function quantizeOutputs(kernel: Float32Array, out: number, inner: number, scales: Float32Array): Int8Array {
  const values = new Int8Array(kernel.length);
  const factors = scales.map(inverse);
  for (let from = 0; from < out; from += outputBlock) {
    const to = Math.min(out, from + outputBlock);
    for (let i = 0; i < inner; i++) {
      for (let o = from; o < to; o++) {
        values[i * out + o] = Math.round((kernel[o * inner + i] ?? 0) * (factors[o] ?? 0));
      }
    }
  }
  return values;
}

/** 1 / scale; 0 for a row of zeros. */
export function inverse(scale = 0): number {
  return scale === 0 ? 0 : 1 / scale;
}
