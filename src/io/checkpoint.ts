import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { errorCode, fileError } from './file-error.ts';
import { isRecord, quoted, readJsonObject } from './json.ts';
import { openSafetensors } from './safetensors.ts';
import type { TensorLocation } from './safetensors.ts';

/** A model's folder as diffusers and transformers write it: its config and where its tensors lie. */
export interface Checkpoint {
  readonly folder: string;
  readonly configPath: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** The variant that was read, such as 'fp16'; undefined for the plain files. */
  readonly variant: string | undefined;
}

/** What to read of a component's folder. */
export interface CheckpointOptions {
  /** The weights' file name without its ending. @default whichever of the two is there */
  readonly baseName?: 'diffusion_pytorch_model' | 'model';
  /** Read this variant's files ('fp16', 'bf16') where there are any, else the plain ones, as diffusers' pipelines do. */
  readonly variant?: string;
}

type BaseName = NonNullable<CheckpointOptions['baseName']>;

const baseNames: readonly BaseName[] = ['diffusion_pytorch_model', 'model'];

/** The variants in a folder, by the file that holds or lists their weights; '' is the plain one. */
function weightFiles(names: readonly string[], baseName: BaseName): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const name of names) {
    if (!name.startsWith(`${baseName}.`)) continue;
    const rest = name.slice(baseName.length + 1);
    // diffusers prefers an index over a single file of the same variant, transformers a single file.
    const index =
      /^safetensors\.index\.(?:([^.]+)\.)?json$/.exec(rest) ?? /^([^.]+)\.safetensors\.index\.json$/.exec(rest);
    const single = /^(?:([^.]+)\.)?safetensors$/.exec(rest);
    if (index && (baseName === 'diffusion_pytorch_model' || !found.has(index[1] ?? '')))
      found.set(index[1] ?? '', name);
    if (single && (baseName === 'model' || !found.has(single[1] ?? ''))) found.set(single[1] ?? '', name);
  }
  return found;
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    // Sorted, so that what is chosen does not depend on the file system.
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') throw new UserError(`${folder} is a file; name a model's folder.`);
    if (errorCode(error) === 'ENOENT') throw new UserError(`There is no folder ${folder}; check the path.`);
    throw fileError(error, 'read', folder);
  }
}

/**
 * Which file of a component's folder holds its weights, or lists the shards that do.
 * @param folder what messages call it
 * @param names the files in it
 * @throws UserError when there is none, or several variants and none of them was asked for
 */
export function chooseWeights(
  folder: string,
  names: readonly string[],
  options: CheckpointOptions,
): { file: string; variant: string | undefined } {
  const bases = options.baseName === undefined ? baseNames : [options.baseName];
  for (const baseName of bases) {
    const files = weightFiles(names, baseName);
    const wanted = files.get(options.variant ?? '');
    if (wanted !== undefined) return { file: wanted, variant: options.variant };
    const plain = files.get('');
    if (plain !== undefined) return { file: plain, variant: undefined };
    const [only, ...others] = files;
    if (only !== undefined && others.length === 0) return { file: only[1], variant: only[0] };
    if (only !== undefined) {
      throw new UserError(`${folder} holds the variants ${[...files.keys()].join(', ')}; choose one of them.`);
    }
  }
  if (names.some((name) => /\.(bin|pt|pth|ckpt)$/.test(name))) {
    throw new UserError(`${folder} holds pickled weights, which are not read; save them as safetensors.`);
  }
  const expected = bases.map((name) => `${name}.safetensors`).join(' or ');
  throw new UserError(
    `${folder} holds no weights; expected ${expected}, whole or in shards; download the model again.`,
  );
}

/** Where every tensor of a sharded checkpoint lies; an index may name files of its own folder alone. */
async function openShards(folder: string, indexPath: string): Promise<ReadonlyMap<string, TensorLocation>> {
  const { weight_map: map } = await readJsonObject(indexPath);
  if (!isRecord(map) || Object.keys(map).length === 0) {
    throw new UserError(`${indexPath} has no weight_map that lists the tensors; download it again.`);
  }
  const shards = new Map<string, ReadonlyMap<string, TensorLocation>>();
  const tensors = new Map<string, TensorLocation>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || !/^[^/\\:\0]+\.safetensors$/.test(shard)) {
      const found = quoted(typeof shard === 'string' ? shard : JSON.stringify(shard));
      throw new UserError(
        `${indexPath} puts tensor ${quoted(name)} into ${found}, which is not the name of a safetensors file in its folder.`,
      );
    }
    let held = shards.get(shard);
    if (held === undefined) shards.set(shard, (held = (await openSafetensors(join(folder, shard))).tensors));
    const location = held.get(name);
    if (location === undefined) {
      throw new UserError(
        `${indexPath} puts tensor ${quoted(name)} into ${shard}, which does not hold it; download both again.`,
      );
    }
    tensors.set(name, location);
  }
  // What a shard holds beyond the index is loaded by diffusers too; a model then refuses the names that it does not know.
  for (const held of shards.values()) {
    for (const [name, location] of held) if (!tensors.has(name)) tensors.set(name, location);
  }
  return tensors;
}

/**
 * Opens a component's folder (config.json and safetensors, single or sharded) without reading a tensor.
 * @throws UserError when anything that should be there is not, or does not hold what it says
 */
export async function openCheckpoint(folder: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const names = await listFolder(folder);
  if (!names.includes('config.json')) {
    const hint = names.includes('model_index.json')
      ? 'it is a whole pipeline; name one of its folders, such as transformer'
      : "name a model's folder in diffusers' layout";
    throw new UserError(`${folder} has no config.json; ${hint}.`);
  }
  const configPath = join(folder, 'config.json');
  const config = await readJsonObject(configPath);
  const { file, variant } = chooseWeights(folder, names, options);
  const path = join(folder, file);
  const tensors = file.endsWith('.json') ? await openShards(folder, path) : (await openSafetensors(path)).tensors;
  return { folder, configPath, config, tensors, variant };
}

/**
 * Checks that a config is of the class that is about to be built.
 * @param key `_class_name` (diffusers, a text) or `architectures` (transformers, a list)
 * @param expected the class, or several that hold the same model
 * @throws UserError that names both classes
 */
export function checkClass(
  { config, configPath }: Pick<Checkpoint, 'config' | 'configPath'>,
  key: '_class_name' | 'architectures',
  expected: string | readonly string[],
): void {
  const accepted = typeof expected === 'string' ? [expected] : expected;
  const value = config[key];
  const found: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (found.some((name) => typeof name === 'string' && accepted.includes(name))) return;
  const described = value === undefined ? `has no ${key}` : `is of ${quoted(found.map(String).join(', '))}`;
  throw new UserError(
    `${configPath} ${described}; expected ${accepted.join(' or ')}; name the folder of such a model.`,
  );
}
