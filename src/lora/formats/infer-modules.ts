import {
  parseSanaTransformerConfig,
  type SanaModule,
  type SanaTransformerConfig,
  sanaModules,
} from '../../models/sana-transformer-config.ts';
import type { Entry } from './group-tensors.ts';
import { weightSize } from './read-delta.ts';

/** No layer of a model has this width: a size that is equal to it stands for the width that is looked for. */
const anyWidth = 999_983;
/** The largest Sana has 60 layers. */
const mostLayers = 200;

function configOf(fields: Readonly<Record<string, unknown>>, width: number): SanaTransformerConfig {
  return parseSanaTransformerConfig(
    {
      num_attention_heads: 1,
      attention_head_dim: width,
      num_cross_attention_heads: 1,
      cross_attention_head_dim: width,
      cross_attention_dim: width,
      ...fields,
    },
    'the adapter',
  );
}

/** The layers that names in a file speak of, as the modules of a model whose width is not yet known. */
export function modulesOfAnyWidth(names: Iterable<string>): ReadonlyMap<string, SanaModule> {
  let layers = 1;
  let isGuided = false;
  for (const name of names) {
    const layer = Number(/blocks[._](\d{1,4})[._]/.exec(name)?.[1] ?? 0);
    if (layer < mostLayers) layers = Math.max(layers, layer + 1);
    isGuided ||= /guidance_embedder/.test(name);
  }
  return sanaModules(configOf({ num_layers: layers, guidance_embeds: isGuided }, anyWidth));
}

/** What a file's shapes say of the model that it is for. */
export interface InferredModel {
  readonly width: number;
  /** One more than the last layer that is named. */
  readonly layers: number;
  readonly modules: ReadonlyMap<string, SanaModule>;
}

/** The model that entries are for, by their shapes; undefined where none of them tells the width. */
export function inferModel(
  entries: readonly Entry[],
  unsized: ReadonlyMap<string, SanaModule>,
): InferredModel | undefined {
  let width: number | undefined;
  let hidden: number | undefined;
  const fields: Record<string, unknown> = {};
  for (const entry of entries) {
    const size = weightSize(entry);
    const [part = ''] = entry.place.parts;
    const module = unsized.get(part);
    if (!size || !module) continue;
    const { columns, rows } = size;
    if (module.inFeatures === anyWidth) width ??= columns;
    if (module.outFeatures === anyWidth) width ??= rows;
    if (part.endsWith('ff.conv_point')) hidden ??= columns;
    if (part.endsWith('ff.conv_inverted')) hidden ??= rows / 2;
    if (part === 'patch_embed.proj') fields.in_channels = columns;
    if (part === 'caption_projection.linear_1') fields.caption_channels = columns;
    if (part === 'proj_out') fields.out_channels = rows;
    if (part.includes('guidance_embedder')) fields.guidance_embeds = true;
  }
  if (width === undefined || width < 1 || width > 2 ** 16) return undefined;
  // Half a channel more, so that the product is not rounded down to one channel less.
  if (hidden !== undefined && hidden >= 1) fields.mlp_ratio = (hidden + 0.5) / width;
  const layers = [...unsized.keys()].filter((name) => name.endsWith('attn1.to_q')).length;
  const sizes = [fields.in_channels, fields.caption_channels, fields.out_channels];
  if (sizes.some((size) => typeof size === 'number' && size < 1)) return undefined;
  return { width, layers, modules: sanaModules(configOf({ num_layers: layers, ...fields }, width)) };
}

const bases: readonly (readonly [width: number, layers: number, name: string])[] = [
  [1152, 28, 'Sana 0.6B'],
  [2240, 20, 'Sana 1.6B'],
  [2240, 60, 'Sana 4.8B'],
];

/** The published model that has these sizes, as a text. */
export function baseName(width: number, layers: number): string {
  const same = bases.filter(([w, n]) => w === width && layers <= n);
  const [exact] = same.filter(([, n]) => n === layers);
  if (exact) return exact[2];
  const names = same.map(([, , name]) => name).join(' or ');
  return names === ''
    ? `a model of width ${width} with ${layers} layers or more`
    : `${names} (its first ${layers} layers)`;
}
