import { hiddenWidth, innerWidth, sanaModules, type SanaTransformerConfig } from './sana-transformer-config.ts';

/** The shapes of a transformer's tensors by their names in its files. */
export function sanaTensors(config: SanaTransformerConfig): ReadonlyMap<string, readonly number[]> {
  const d = innerWidth(config);
  const h = hiddenWidth(config);
  const shapes = new Map<string, readonly number[]>([
    ['caption_norm.weight', [d]],
    ['scale_shift_table', [2, d]],
  ]);
  for (const [name, { inFeatures, outFeatures, kernel, bias }] of sanaModules(config)) {
    const matrix = [outFeatures, inFeatures];
    shapes.set(`${name}.weight`, kernel === undefined ? matrix : [...matrix, kernel, kernel]);
    if (bias) shapes.set(`${name}.bias`, [outFeatures]);
  }
  for (let layer = 0; layer < config.num_layers; layer++) {
    const block = `transformer_blocks.${layer}`;
    shapes.set(`${block}.scale_shift_table`, [6, d]);
    shapes.set(`${block}.ff.conv_depth.weight`, [2 * h, 1, 3, 3]);
    shapes.set(`${block}.ff.conv_depth.bias`, [2 * h]);
    if (config.norm_elementwise_affine) {
      shapes.set(`${block}.norm2.weight`, [d]);
      shapes.set(`${block}.norm2.bias`, [d]);
    }
    if (config.qk_norm !== null) {
      for (const norm of ['attn1.norm_q', 'attn1.norm_k', 'attn2.norm_q', 'attn2.norm_k'])
        shapes.set(`${block}.${norm}.weight`, [d]);
    }
  }
  return shapes;
}
