import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { UserError } from '../errors.ts';
import { openCheckpoint } from '../io/checkpoint.ts';
import { fileError } from '../io/file-error.ts';
import { openSafetensors, type TensorLocation } from '../io/safetensors.ts';
import { listNames } from '../lora/formats/group-tensors.ts';
import { modulesOfAnyWidth } from '../lora/formats/infer-modules.ts';
import { nativeParameter } from '../lora/formats/native-names.ts';

/** A transformer's tensors by diffusers' names, still in their files. */
export type TransformerWeights = ReadonlyMap<string, TensorLocation>;

/** What stands before the names of a transformer in a checkpoint that holds more, or is ComfyUI's. */
const prefixes = ['', 'transformer.', 'model.diffusion_model.', 'diffusion_model.'];

/**
 * A Sana transformer's weights: a pipeline's folder, its transformer's, or one file of diffusers' or NVlabs' names.
 * @throws UserError when there is none, or a pickled file is named
 */
export async function openTransformerWeights(
  path: string,
  { variant }: { readonly variant?: string } = {},
): Promise<TransformerWeights> {
  const options = { ...(variant !== undefined && { variant }) };
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  if (isFolder) {
    const inner = join(path, 'transformer');
    const isPipeline = (await stat(inner).catch(() => undefined))?.isDirectory() === true;
    return (await openCheckpoint(isPipeline ? inner : path, options)).tensors;
  }
  if (/\.(bin|pt|pth|ckpt)$/.test(path)) {
    throw new UserError(`${path} is pickled, which is not read: it can run code; convert it to safetensors.`);
  }
  const { tensors } = await openSafetensors(path);
  for (const prefix of prefixes) {
    if (tensors.has(`${prefix}transformer_blocks.0.attn1.to_q.weight`)) return withoutPrefix(tensors, prefix);
    if (tensors.has(`${prefix}blocks.0.attn.qkv.weight`)) return byDiffusersNames(withoutPrefix(tensors, prefix));
  }
  throw new UserError(
    `${path} is no transformer of Sana by diffusers' or NVlabs' names: it has ${listNames([...tensors.keys()])}.`,
  );
}

function withoutPrefix(tensors: TransformerWeights, prefix: string): TransformerWeights {
  if (prefix === '') return tensors;
  return new Map(
    [...tensors].flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    ),
  );
}

/** Every parameter that a model whose tensors have these names may have, by diffusers' names. */
function* parametersOf(names: Iterable<string>): Generator<string> {
  const modules = [...modulesOfAnyWidth(names).keys()];
  yield* ['scale_shift_table', 'caption_norm.weight'];
  for (const module of modules) {
    yield* [`${module}.weight`, `${module}.bias`];
    if (!module.endsWith('.ff.conv_inverted')) continue;
    const block = module.slice(0, -'.ff.conv_inverted'.length);
    yield* [`${block}.scale_shift_table`, `${block}.ff.conv_depth.weight`, `${block}.ff.conv_depth.bias`];
    for (const attention of ['attn1', 'attn2']) {
      yield* [`${block}.${attention}.norm_q.weight`, `${block}.${attention}.norm_k.weight`];
    }
  }
}

/** NVlabs' tensors by diffusers' names: parts of stacked layers are ranges of their rows. */
function byDiffusersNames(native: TransformerWeights): TransformerWeights {
  const view = new Map<string, TensorLocation>();
  for (const name of parametersOf(native.keys())) {
    const found = nativeParameter(name);
    const whole = found && native.get(found.name);
    if (!whole) continue;
    const [rows = 1, ...rest] = whole.shape;
    const count = found.parts.length;
    if (rows % count !== 0) throw new UserError(`${found.name} has ${rows} rows, which are not ${count} layers.`);
    const byteLength = whole.byteLength / count;
    const offset = whole.offset + found.parts.indexOf(name) * byteLength;
    view.set(name, count === 1 ? whole : { ...whole, shape: [rows / count, ...rest], offset, byteLength });
  }
  return view;
}
