import { type Tensor, toFloat32 } from '../../src/graph/tensor.ts';

/** A picture as an 8-bit file holds it: what is scored is what people see, to the last bit. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  /** [3, height, width] from 0 to 255 */
  readonly data: Uint8ClampedArray;
}

/** Rounds a picture to bytes. @param image [1, 3, H, W], 0 to 1 */
export function toPixels(image: Tensor): Pixels {
  const [height = 0, width = 0] = image.shape.slice(-2);
  // The array rounds and clamps.
  const data = Uint8ClampedArray.from(toFloat32(image), (value) => value * 255);
  if (data.length !== 3 * height * width) {
    throw new RangeError(`toPixels: [1, 3, H, W] expected, got [${image.shape.join(', ')}]`);
  }
  return { height, width, data };
}

/**
 * The planes [3, H / factor, W / factor] in [-1, 1], each value the mean of a square of `factor` pixels.
 * @throws RangeError when the sides do not divide
 */
export function toPlanes({ height, width, data }: Pixels, factor = 1): Float32Array {
  const [h, w] = [height / factor, width / factor];
  if (!Number.isInteger(h) || !Number.isInteger(w)) {
    throw new RangeError(`toPlanes: ${height} x ${width} pixels do not divide into squares of ${factor}`);
  }
  const out = new Float32Array(3 * h * w);
  for (let row = 0; row < 3 * h; row++) {
    for (let column = 0; column < w; column++) {
      let sum = 0;
      for (let y = 0; y < factor; y++) {
        for (let x = 0; x < factor; x++) sum += data[(row * factor + y) * width + column * factor + x] ?? 0;
      }
      out[row * w + column] = sum / (127.5 * factor * factor) - 1;
    }
  }
  return out;
}
