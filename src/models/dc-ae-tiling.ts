/**
 * Running an autoencoder over overlapping tiles, as diffusers' AutoencoderDC.tiled_encode and tiled_decode do.
 * Shapes: B batch, C channels, H and W height and width.
 */
import { elementCount, float32, toFloat32, type Tensor } from '../graph/tensor.ts';

/** How to tile one direction. */
export interface TiledRun {
  /** Side of a tile in elements of the input. */
  readonly tile: number;
  /** From one tile's beginning to the next one's, in elements of the input. */
  readonly stride: number;
  /** Elements of the output's side for one of the input's: 1/32 where 32 pixels become one latent. */
  readonly scale: number;
  /** Computes one tile. [B, C, h, w] -> [B, C', scale h, scale w]. */
  readonly run: (tile: Tensor) => Promise<Tensor>;
}

type Float32Tensor = Tensor & { readonly data: Float32Array };

/**
 * Computes `x` [B, C, H, W] tile by tile -> [B, C', scale H, scale W]. Where tiles overlap, the result goes over
 * linearly from one to the next, first downwards, then to the right. Tiles at the end may be smaller.
 */
export async function runTiled(x: Tensor, { tile, stride, scale, run }: TiledRun): Promise<Tensor> {
  const [, , height = 0, width = 0] = x.shape;
  const step = stride * scale;
  const overlap = (tile - stride) * scale;
  let result: Float32Tensor | undefined;
  let above: readonly Float32Tensor[] = [];
  for (let top = 0; top < height; top += stride) {
    const row: Float32Tensor[] = [];
    for (let left = 0; left < width; left += stride) {
      const part = crop(x, top, left, Math.min(tile, height - top), Math.min(tile, width - left));
      const { shape, data } = await run(part);
      const done = float32(shape, toFloat32({ dtype: 'float32', shape, data }));
      const upper = above[row.length];
      const before = row.at(-1);
      if (upper) blendDown(upper, done, overlap);
      if (before) blendRight(before, done, overlap);
      row.push(done);
      const [b = 0, c = 0] = done.shape;
      result ??= float32([b, c, height * scale, width * scale], new Float32Array(b * c * height * width * scale ** 2));
      paste(done, result, top * scale, left * scale, step);
    }
    above = row;
  }
  if (!result) throw new RangeError('runTiled: an input with pixels expected');
  return result;
}

/** Rows top to top + height and columns left to left + width of [B, C, H, W]. */
function crop(x: Tensor, top: number, left: number, height: number, width: number): Float32Tensor {
  const [b = 0, c = 0, rows = 0, columns = 0] = x.shape;
  const data = toFloat32(x);
  const part = new Float32Array(b * c * height * width);
  for (let plane = 0; plane < b * c; plane++) {
    for (let y = 0; y < height; y++) {
      const from = (plane * rows + top + y) * columns + left;
      part.set(data.subarray(from, from + width), (plane * height + y) * width);
    }
  }
  return float32([b, c, height, width], part);
}

/** Samples start to end of [B, C, H, W], sharing memory. */
export function takeSamples(x: Tensor, start: number, end: number): Float32Tensor {
  const [, ...rest] = x.shape;
  const size = elementCount(rest);
  return float32([end - start, ...rest], toFloat32(x).subarray(start * size, end * size));
}

/** Writes at most `step` rows and columns of a tile into the result. */
function paste(tile: Float32Tensor, result: Float32Tensor, top: number, left: number, step: number): void {
  const [b = 0, c = 0, height = 0, width = 0] = tile.shape;
  const [, , rows = 0, columns = 0] = result.shape;
  for (let plane = 0; plane < b * c; plane++) {
    for (let y = 0; y < Math.min(step, height); y++) {
      const from = (plane * height + y) * width;
      result.data.set(
        tile.data.subarray(from, from + Math.min(step, width)),
        (plane * rows + top + y) * columns + left,
      );
    }
  }
}

/** Mixes the last `overlap` rows of the tile above into the first rows of `tile`, in place. */
function blendDown(above: Float32Tensor, tile: Float32Tensor, overlap: number): void {
  const [b = 0, c = 0, height = 0, width = 0] = tile.shape;
  const rows = above.shape[2] ?? 0;
  const extent = Math.min(rows, height, overlap);
  for (let plane = 0; plane < b * c; plane++) {
    for (let y = 0; y < extent; y++) {
      const from = (plane * rows + rows - extent + y) * width;
      mix(above.data.subarray(from, from + width), tile.data, (plane * height + y) * width, y / extent);
    }
  }
}

function mix(other: Float32Array, own: Float32Array, start: number, share: number): void {
  for (let x = 0; x < other.length; x++) {
    own[start + x] = (other[x] ?? 0) * (1 - share) + (own[start + x] ?? 0) * share;
  }
}

/** Mixes the last `overlap` columns of the tile to the left into the first columns of `tile`, in place. */
function blendRight(before: Float32Tensor, tile: Float32Tensor, overlap: number): void {
  const [b = 0, c = 0, height = 0, width = 0] = tile.shape;
  const columns = before.shape[3] ?? 0;
  const extent = Math.min(columns, width, overlap);
  for (let row = 0; row < b * c * height; row++) {
    for (let x = 0; x < extent; x++) {
      const share = x / extent;
      const other = before.data[row * columns + columns - extent + x] ?? 0;
      tile.data[row * width + x] = other * (1 - share) + (tile.data[row * width + x] ?? 0) * share;
    }
  }
}
