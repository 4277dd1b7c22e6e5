// NVlabs' names of Sana's layers beside diffusers', as diffusers' scripts/convert_sana_to_diffusers.py maps them.

/** One layer of NVlabs' model: its name there, and the modules of diffusers' model whose rows it stacks, in order. */
export interface NativeModule {
  readonly name: string;
  readonly parts: readonly string[];
}

const inBlock: readonly (readonly [native: string, parts: readonly string[]])[] = [
  ['attn.qkv', ['attn1.to_q', 'attn1.to_k', 'attn1.to_v']],
  ['attn.proj', ['attn1.to_out.0']],
  ['cross_attn.q_linear', ['attn2.to_q']],
  ['cross_attn.kv_linear', ['attn2.to_k', 'attn2.to_v']],
  ['cross_attn.proj', ['attn2.to_out.0']],
  ['mlp.inverted_conv.conv', ['ff.conv_inverted']],
  ['mlp.depth_conv.conv', ['ff.conv_depth']],
  ['mlp.point_conv.conv', ['ff.conv_point']],
];

const outside: readonly (readonly [native: string, part: string])[] = [
  ['x_embedder.proj', 'patch_embed.proj'],
  ['t_embedder.mlp.0', 'time_embed.emb.timestep_embedder.linear_1'],
  ['t_embedder.mlp.2', 'time_embed.emb.timestep_embedder.linear_2'],
  ['t_block.1', 'time_embed.linear'],
  ['y_embedder.y_proj.fc1', 'caption_projection.linear_1'],
  ['y_embedder.y_proj.fc2', 'caption_projection.linear_2'],
  ['final_layer.linear', 'proj_out'],
];

const native = new Map<string, NativeModule>();
for (const [name, parts] of inBlock) for (const part of parts) native.set(part, { name, parts });
for (const [name, part] of outside) native.set(part, { name, parts: [part] });

/** The layer of NVlabs' model that a module of diffusers' model is, or is part of; undefined where there is none. */
export function nativeModule(module: string): NativeModule | undefined {
  const [, layer, rest] = /^transformer_blocks\.(\d+)\.(.+)$/.exec(module) ?? [];
  if (layer === undefined || rest === undefined) return native.get(module);
  const found = native.get(rest);
  if (!found) return undefined;
  return {
    name: `blocks.${layer}.${found.name}`,
    parts: found.parts.map((part) => `transformer_blocks.${layer}.${part}`),
  };
}

const norms: Readonly<Record<string, string>> = {
  'attn1.norm_q': 'attn.q_norm',
  'attn1.norm_k': 'attn.k_norm',
  'attn2.norm_q': 'cross_attn.q_norm',
  'attn2.norm_k': 'cross_attn.k_norm',
};

/**
 * The parameter of NVlabs' model that a parameter of diffusers' is, or is part of: `name`, and all that are stacked in it.
 * Undefined where NVlabs' model has none.
 */
export function nativeParameter(parameter: string): NativeModule | undefined {
  if (parameter === 'scale_shift_table') return { name: 'final_layer.scale_shift_table', parts: [parameter] };
  if (parameter === 'caption_norm.weight') return { name: 'attention_y_norm.weight', parts: [parameter] };
  const [, layer = '', rest = ''] = /^transformer_blocks\.(\d+)\.(.+)$/.exec(parameter) ?? [];
  if (rest === 'scale_shift_table') return { name: `blocks.${layer}.scale_shift_table`, parts: [parameter] };
  const dot = parameter.lastIndexOf('.');
  const [module, kind] = [parameter.slice(0, dot), parameter.slice(dot)];
  const norm = norms[rest.slice(0, rest.lastIndexOf('.'))];
  if (norm !== undefined) return { name: `blocks.${layer}.${norm}${kind}`, parts: [parameter] };
  const found = nativeModule(module);
  return found && { name: found.name + kind, parts: found.parts.map((part) => part + kind) };
}
