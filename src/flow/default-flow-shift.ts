/** What decides the flow shift that a checkpoint was trained with. */
export interface FlowShiftOptions {
  /** Width of the transformer: attention heads times head dimension; 1152 is Sana 0.6B. */
  readonly width: number;
  /** Whether q and k are normalised, as in SANA-1.5 and Sprint. */
  readonly qkNorm: boolean;
  /** Side in pixels of a square picture of the checkpoint's size: 512, 1024, 2048 or 4096. */
  readonly resolution: number;
}

/**
 * The flow shift that Sana was trained with: 3, but 4 for the 0.6B at 1024 px and 6 at 4096 px; SANA-1.5 has 3
 * throughout. From the training configs of NVlabs/Sana. Sizes between take the nearer one's, by ratio.
 */
export function defaultFlowShift({ width, qkNorm, resolution }: FlowShiftOptions): number {
  if (qkNorm) return 3;
  const doublings = Math.round(Math.log2(resolution / 512));
  if (doublings >= 3) return 6;
  return doublings === 1 && width <= 1152 ? 4 : 3;
}
