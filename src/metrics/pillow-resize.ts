/** Pixels of an upright RGB picture, rows of red, green and blue bytes. */
export interface RgbPicture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Pillow's filters by the numbers that preprocessor_config.json has for them. */
export const pillowFilters = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic' } as const;

/** A filter's name. */
export type PillowFilter = (typeof pillowFilters)[keyof typeof pillowFilters];

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

// Pillow's src/libImaging/Resample.c; its bicubic has a = -0.5.
const filters: Readonly<Record<PillowFilter, Filter>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const at = Math.abs(x);
      if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
      return at < 2 ? ((-0.5 * at + 2.5) * at - 4) * at + 2 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

// Weights are whole numbers of 2^-22, as in Pillow for 8-bit pictures (32 - 8 - 2 bits).
const one = 2 ** 22;

const half = one / 2;

/** What an axis's output pixels are made of. */
interface Taps {
  /** Of each output pixel, the first input pixel that counts. */
  readonly first: Int32Array;
  /** Of each output pixel, where its weights begin; the last number is where they end. */
  readonly begin: Int32Array;
  readonly weights: Int32Array;
}

function tapsOf(from: number, to: number, { support, weight }: Filter): Taps {
  const scale = from / to;
  const spread = Math.max(scale, 1); // filters widen when a picture shrinks: that is what keeps it free of aliases
  const reach = support * spread;
  const first = new Int32Array(to);
  const begin = new Int32Array(to + 1);
  const weights: number[] = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const raw = Array.from({ length: end - start }, (_, j) => weight((j + start - centre + 0.5) / spread));
    const sum = raw.reduce((a, b) => a + b, 0);
    for (const value of raw) {
      const scaled = (value / sum) * one;
      weights.push(Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
    }
    first[i] = start;
    begin[i + 1] = weights.length;
  }
  return { first, begin, weights: Int32Array.from(weights) };
}

/** A byte of a sum of bytes times weights, which 32 bits hold: the weights' positive ones come to less than 1.5. */
function clip(sum: number): number {
  const value = (sum + half) >> 22;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function resizeWidth({ data, width, height }: RgbPicture, to: number, filter: Filter): RgbPicture {
  const out = new Uint8Array(to * height * 3);
  const { first, begin, weights } = tapsOf(width, to, filter);
  let at3 = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < to; x++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let at = (y * width + (first[x] ?? 0)) * 3;
      const end = begin[x + 1] ?? 0;
      for (let j = begin[x] ?? 0; j < end; j++) {
        const weight = weights[j] ?? 0;
        red = (red + Math.imul(weight, data[at] ?? 0)) | 0;
        green = (green + Math.imul(weight, data[at + 1] ?? 0)) | 0;
        blue = (blue + Math.imul(weight, data[at + 2] ?? 0)) | 0;
        at += 3;
      }
      out[at3] = clip(red);
      out[at3 + 1] = clip(green);
      out[at3 + 2] = clip(blue);
      at3 += 3;
    }
  }
  return { data: out, width: to, height };
}

function resizeHeight({ data, width, height }: RgbPicture, to: number, filter: Filter): RgbPicture {
  const row = width * 3;
  const out = new Uint8Array(row * to);
  const sums = new Int32Array(row);
  const { first, begin, weights } = tapsOf(height, to, filter);
  for (let y = 0; y < to; y++) {
    sums.fill(0);
    let at = (first[y] ?? 0) * row;
    const end = begin[y + 1] ?? 0;
    for (let j = begin[y] ?? 0; j < end; j++) {
      const weight = weights[j] ?? 0;
      for (let x = 0; x < row; x++) sums[x] = (sums[x] ?? 0) + Math.imul(weight, data[at + x] ?? 0);
      at += row;
    }
    for (let x = 0; x < row; x++) out[y * row + x] = clip(sums[x] ?? 0);
  }
  return { data: out, width, height: to };
}

/**
 * Scales a picture to the byte as Pillow's Image.resize does (src/libImaging/Resample.c, 8 bits a channel), which the
 * preprocessing of Hugging Face's vision models is defined by. transformers.js scales down without widening the filter,
 * so that its pictures of large photos differ from what the models were trained on.
 */
export function resizeAsPillow(picture: RgbPicture, width: number, height: number, filter: PillowFilter): RgbPicture {
  const wide = picture.width === width ? picture : resizeWidth(picture, width, filters[filter]);
  return wide.height === height ? wide : resizeHeight(wide, height, filters[filter]);
}
