import type { SanaModule } from '../models/sana-transformer-config.ts';

/** One of the two matrices of a Kronecker product: whole, or as a product of the rank. */
export interface LokrFactor {
  readonly rows: number;
  /** A convolution's kernel is part of the second factor's columns. */
  readonly columns: number;
  /** Null for a whole matrix. */
  readonly rank: number | null;
}

/** LoKr (arXiv 2212.10650, LyCORIS): a layer's change is the Kronecker product of a small and a larger matrix. */
export interface Lokr {
  readonly kind: 'lokr';
  /** w1 */
  readonly one: LokrFactor;
  /** w2 */
  readonly two: LokrFactor;
}

/** LoHa (arXiv 2108.06098, LyCORIS): a layer's change is (w1_a w1_b) times (w2_a w2_b), element by element. */
export interface Loha {
  readonly kind: 'loha';
  readonly rank: number;
}

/** How a LoKr is cut; names and meanings are LyCORIS' (modules/lokr.py). */
export interface LokrOptions {
  /** About how many rows and columns the smaller matrix has; -1 makes both alike. @default -1 */
  readonly factor?: number;
  /** The smaller matrix is a product of the rank too, where that is smaller. @default false */
  readonly decomposeBoth?: boolean;
  /** The larger matrix is whole, whatever the rank. @default false */
  readonly fullMatrix?: boolean;
}

/** The parts of a layer's tensors by LyCORIS' names. */
export type LycorisPart =
  | `lokr_${'w1' | 'w1_a' | 'w1_b' | 'w2' | 'w2_a' | 'w2_b'}`
  | `hada_${'w1_a' | 'w1_b' | 'w2_a' | 'w2_b'}`;

/**
 * A dimension as a product of two, the smaller first: `factor` is one of them where it divides the dimension; else the
 * smaller is the largest divisor up to it that makes their sum smaller (LyCORIS, functional/general.py, factorization).
 */
export function factorization(dimension: number, factor = -1): readonly [small: number, large: number] {
  if (factor > 0 && dimension % factor === 0) {
    const other = dimension / factor;
    return [Math.min(factor, other), Math.max(factor, other)];
  }
  const most = factor < 0 ? dimension : factor;
  let [small, large] = [1, dimension];
  for (;;) {
    let next = small + 1;
    while (next <= dimension && dimension % next !== 0) next++;
    const other = dimension / next;
    if (small >= large || next > most || next + other > small + large) break;
    [small, large] = [next, other];
  }
  return [Math.min(small, large), Math.max(small, large)];
}

/**
 * The matrices of a layer's LoKr. The larger one is whole where the rank is half of its longer side or more, the smaller
 * one unless both are to be decomposed and the rank is less than half of its longer side (LyCORIS, modules/lokr.py).
 */
export function lokrOf(
  { inFeatures, outFeatures, kernel = 1 }: SanaModule,
  rank: number,
  { factor = -1, decomposeBoth = false, fullMatrix = false }: LokrOptions = {},
): Lokr {
  const [rows1, rows2] = factorization(outFeatures, factor);
  const [columns1, columns2] = factorization(inFeatures, factor);
  const isLow = (rows: number, columns: number): boolean => !fullMatrix && rank < Math.max(rows, columns) / 2;
  return {
    kind: 'lokr',
    one: { rows: rows1, columns: columns1, rank: decomposeBoth && isLow(rows1, columns1) ? rank : null },
    two: { rows: rows2, columns: columns2 * kernel ** 2, rank: isLow(rows2, columns2) ? rank : null },
  };
}

/** Whether alpha says nothing: LyCORIS scales a LoKr of two whole matrices by 1 (modules/lokr.py). */
export function isUnscaled(lycoris: Lokr | Loha): boolean {
  return lycoris.kind === 'lokr' && lycoris.one.rank === null && lycoris.two.rank === null;
}

type PartShape = readonly [part: LycorisPart, shape: readonly number[]];

/** Shapes of a layer's tensors in LyCORIS' file; a whole w2 of a convolution has the kernel's axes. */
export function lycorisShapes(
  { inFeatures, outFeatures, kernel }: SanaModule,
  lycoris: Lokr | Loha,
): readonly PartShape[] {
  const side = kernel ?? 1;
  if (lycoris.kind === 'loha') {
    const { rank } = lycoris;
    return (['w1', 'w2'] as const).flatMap((w): PartShape[] => [
      [`hada_${w}_a`, [outFeatures, rank]],
      [`hada_${w}_b`, [rank, inFeatures * side ** 2]],
    ]);
  }
  return (['w1', 'w2'] as const).flatMap((w): PartShape[] => {
    const { rows, columns, rank } = w === 'w1' ? lycoris.one : lycoris.two;
    if (rank !== null) {
      return [
        [`lokr_${w}_a`, [rows, rank]],
        [`lokr_${w}_b`, [rank, columns]],
      ];
    }
    const isKernel = w === 'w2' && kernel !== undefined && columns % side ** 2 === 0;
    return [[`lokr_${w}`, isKernel ? [rows, columns / side ** 2, side, side] : [rows, columns]]];
  });
}
