import { UserError } from '../errors.ts';
import { float32 } from '../graph/tensor.ts';
import type { Tensor } from '../graph/tensor.ts';
import { openPicture, pictureError, defaultMaxPixels } from './open-picture.ts';
import type { PictureLimits } from './open-picture.ts';
import type { Kernel, Placement } from './placement.ts';

// Shape letters: H, W pixels of the crop; h, w = H / 32, W / 32 its latents.

/** Red, green and blue from 0 to 255. */
export type Rgb = readonly [number, number, number];

/**
 * The colour of `#rrggbb`.
 * @throws UserError for any other text
 */
export function parseColour(text: string): Rgb {
  const [, red, green, blue] = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(text) ?? [];
  if (red === undefined || green === undefined || blue === undefined) {
    throw new UserError(`${JSON.stringify(text)} is no colour; write it as "#ffffff".`);
  }
  return [Number.parseInt(red, 16), Number.parseInt(green, 16), Number.parseInt(blue, 16)];
}

/** White, what transparent parts are put on by default. */
export const white: Rgb = [255, 255, 255];

const kernels = { bicubic: 'cubic', lanczos: 'lanczos3' } as const satisfies Record<Kernel, string>;

/** Pixels of a crop, rows of `channels` bytes: red, green, blue, and alpha if there is a fourth. */
interface RawPixels {
  readonly data: Uint8Array;
  readonly channels: number;
}

/**
 * Decodes, turns upright, converts to sRGB, scales and cuts. Embedded profiles are applied (so a Display P3 or CMYK
 * picture looks as it should), 16 bits become 8, transparent pixels weigh nothing in the scaling.
 *
 * A JPEG or WebP is decoded at 1/2, 1/4 or 1/8 where what comes out is still at least twice as large as wanted, and then
 * interpolated (fastShrinkOnLoad: false). For 12 megapixels brought to 512 x 512 the result is nearer to PIL's bicubic
 * resize of the whole picture (PSNR 52.2 dB) than libvips' own resize of the whole picture is (51.0 dB); with
 * fastShrinkOnLoad: true it would be 47.9 dB.
 */
async function cutPixels(
  bytes: Uint8Array,
  { resize, crop, kernel }: Placement,
  limits: PictureLimits,
): Promise<RawPixels> {
  try {
    const { data, info } = await openPicture(bytes, limits)
      .autoOrient()
      .resize({
        width: resize.width,
        height: resize.height,
        fit: 'fill',
        kernel: kernels[kernel],
        fastShrinkOnLoad: false,
      })
      .toColourspace('srgb')
      .extract(crop)
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { data, channels: info.channels };
  } catch (error) {
    throw pictureError(error, limits.maxPixels ?? defaultMaxPixels);
  }
}

// torchvision's ToTensor and Normalize([0.5], [0.5]) in float32, for each of the 256 values of a byte.
const normalized = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value / 255) - 0.5) / 0.5);

/** The [3, H, W] planes in [-1, 1] of pixels on a background. */
function toPlanes({ data, channels }: RawPixels, { crop, flip }: Placement, background: Rgb): Float32Array {
  const { height, width } = crop;
  const area = height * width;
  const grey = channels < 3;
  const alphaAt = channels === 2 ? 1 : channels === 4 ? 3 : -1;
  const out = new Float32Array(3 * area);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + (flip ? width - 1 - column : column)) * channels;
      const to = row * width + column;
      const alpha = alphaAt < 0 ? 255 : (data[from + alphaAt] ?? 255);
      for (let channel = 0; channel < 3; channel++) {
        const value = data[from + (grey ? 0 : channel)] ?? 0;
        const behind = background[channel] ?? 0;
        const shown = alpha === 255 ? value : Math.round((value * alpha + behind * (255 - alpha)) / 255);
        out[channel * area + to] = normalized[shown] ?? 0;
      }
    }
  }
  return out;
}

/** One number from 0 to 255 per pixel. */
type ReadByte = (data: Uint8Array, pixel: number) => number;

/** The [h, w] means over squares of `cell` pixels, from 0 to 1. */
function cellMeans(data: Uint8Array, { crop, flip }: Placement, cell: number, read: ReadByte): Float32Array {
  const { height, width } = crop;
  const columns = width / cell;
  const sums = new Float64Array((height / cell) * columns);
  for (let row = 0; row < height; row++) {
    const base = Math.floor(row / cell) * columns;
    for (let column = 0; column < width; column++) {
      const at = base + Math.floor((flip ? width - 1 - column : column) / cell);
      sums[at] = (sums[at] ?? 0) + read(data, row * width + column);
    }
  }
  return Float32Array.from(sums, (sum) => sum / (255 * cell * cell));
}

/** A mask's [1, h, w] tensor of a crop whose sides must be multiples of `cell`. */
function maskTensor(pixels: RawPixels, placement: Placement, cell: number, read: ReadByte): Tensor {
  const { height, width } = placement.crop;
  if (height % cell !== 0 || width % cell !== 0) {
    throw new RangeError(`maskTensor: ${height} x ${width} pixels do not divide into cells of ${cell}`);
  }
  return float32([1, height / cell, width / cell], cellMeans(pixels.data, placement, cell, read));
}

/** The pixels of a picture, and its mask if it was asked for. */
export interface RenderedPicture {
  /** float32 [3, H, W] in [-1, 1]. */
  readonly pixels: Tensor;
  /** float32 [1, h, w] in [0, 1], the mean alpha of each latent's square; 1 everywhere for a picture without alpha. */
  readonly alpha?: Tensor;
}

/** What {@link renderPicture} takes beside the picture. */
export interface RenderOptions extends PictureLimits {
  /** What transparent parts show. @default white */
  readonly background?: Rgb;
  /** The side in pixels of a latent's square, to get the mask that the picture's alpha makes. */
  readonly alphaCell?: number;
}

/**
 * A picture's pixels as Sana's autoencoder takes them.
 * @throws PictureError when it cannot be decoded
 */
export async function renderPicture(
  bytes: Uint8Array,
  placement: Placement,
  { background = white, alphaCell, ...limits }: RenderOptions = {},
): Promise<RenderedPicture> {
  const cut = await cutPixels(bytes, placement, limits);
  const { height, width } = placement.crop;
  const pixels = float32([3, height, width], toPlanes(cut, placement, background));
  if (alphaCell === undefined) return { pixels };
  const { channels } = cut;
  const hasAlpha = channels === 2 || channels === 4;
  const read: ReadByte = (data, pixel) => (hasAlpha ? (data[(pixel + 1) * channels - 1] ?? 0) : 255);
  return { pixels, alpha: maskTensor(cut, placement, alphaCell, read) };
}

/**
 * A mask file (white is what counts, black what does not) cut as its picture is and averaged to latent size.
 * It may have another resolution than the picture: it is scaled to the picture's size, whatever its own.
 * @returns float32 [1, h, w] in [0, 1]
 * @throws PictureError when it cannot be decoded
 */
export async function renderMask(
  bytes: Uint8Array,
  placement: Placement,
  { cell, ...limits }: PictureLimits & { readonly cell: number },
): Promise<Tensor> {
  const cut = await cutPixels(bytes, placement, limits);
  const { channels } = cut;
  // Luma of Rec. 601, as PIL's convert('L'); on black where the mask itself is transparent.
  const read: ReadByte = (data, pixel) => {
    const at = pixel * channels;
    const alpha = channels === 2 || channels === 4 ? (data[at + channels - 1] ?? 255) / 255 : 1;
    if (channels < 3) return (data[at] ?? 0) * alpha;
    return (0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0)) * alpha;
  };
  return maskTensor(cut, placement, cell, read);
}
