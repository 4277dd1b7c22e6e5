/**
 * What a frozen transformer may be computed in: float32; 8 bits, weights and activations; or float32 with its weights
 * stored in 4 bits.
 */
export const basePrecisions = ['fp32', 'int8', 'nf4'] as const;

/** One of {@link basePrecisions}. */
export type BasePrecision = (typeof basePrecisions)[number];

/** What the text encoder may be computed in: float32, or 8 bits, weights and activations. */
export const textPrecisions = ['fp32', 'int8'] as const;

/** One of {@link textPrecisions}. */
export type TextPrecision = (typeof textPrecisions)[number];
