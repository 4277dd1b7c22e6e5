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

interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** What each output pixel of an axis is made of. */
function tapsOf(from: number, to: number, { support, weight }: Filter): readonly Taps[] {
  const scale = from / to;
  const spread = Math.max(scale, 1); // filters widen when a picture shrinks: that is what keeps it free of aliases
  const reach = support * spread;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const raw = Array.from({ length: end - first }, (_, j) => weight((j + first - centre + 0.5) / spread));
    const sum = raw.reduce((a, b) => a + b, 0);
    return {
      first,
      weights: Float64Array.from(raw, (value) => {
        const scaled = (value / sum) * one;
        return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
      }),
    };
  });
}

function clip(sum: number): number {
  return Math.max(0, Math.min(255, Math.floor((sum + one / 2) / one)));
}

function resizeWidth({ data, width, height }: RgbPicture, to: number, filter: Filter): RgbPicture {
  const out = new Uint8Array(to * height * 3);
  const taps = tapsOf(width, to, filter);
  for (let y = 0; y < height; y++) {
    for (const [x, { first, weights }] of taps.entries()) {
      let [red, green, blue] = [0, 0, 0];
      for (let j = 0, at = (y * width + first) * 3; j < weights.length; j++, at += 3) {
        const weight = weights[j] ?? 0;
        red += weight * (data[at] ?? 0);
        green += weight * (data[at + 1] ?? 0);
        blue += weight * (data[at + 2] ?? 0);
      }
      const to3 = (y * to + x) * 3;
      out[to3] = clip(red);
      out[to3 + 1] = clip(green);
      out[to3 + 2] = clip(blue);
    }
  }
  return { data: out, width: to, height };
}

function resizeHeight({ data, width, height }: RgbPicture, to: number, filter: Filter): RgbPicture {
  const row = width * 3;
  const out = new Uint8Array(row * to);
  const sums = new Float64Array(row);
  for (const [y, { first, weights }] of tapsOf(height, to, filter).entries()) {
    sums.fill(0);
    for (const [j, weight] of weights.entries()) {
      const at = (first + j) * row;
      for (let x = 0; x < row; x++) sums[x] = (sums[x] ?? 0) + weight * (data[at + x] ?? 0);
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
