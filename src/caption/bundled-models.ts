import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join } from 'node:path';

import { modelFilesKey } from '../../datasets/cache-keys.ts';
import { UserError } from '../errors.ts';
import { fileError } from '../io/file-error.ts';
import { bundledModel } from '../pipeline/model-folder.ts';

/** The captioners that come with this package, for sana-pico's world. */
export const bundledCaptioners = ['caption-pico-brief', 'caption-pico-detailed'] as const;

/** The CLIP that comes with this package, for sana-pico's world. */
const bundledClip = 'clip-pico';

/** The CLIP that a config's `clip_model` is; undefined for `auto` with a model that no bundled one belongs to. */
export function chosenClip(name: string, baseModel: string): string | undefined {
  if (name !== 'auto') return name;
  return baseModel === bundledModel ? bundledClip : undefined;
}

/** A model as transformers.js is to load it, and a name that changes when its files do. */
export interface FoundModel {
  /** A folder's absolute path, or an id of the hub. */
  readonly location: string;
  readonly key: string;
}

async function onnxFiles(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(join(folder, 'onnx'))).filter((name) => name.endsWith('.onnx')).toSorted();
  } catch (error) {
    throw fileError(error, 'read', join(folder, 'onnx'));
  }
}

/**
 * Where a captioner or CLIP lies that a config names: bundled, a folder, or an id of the hub.
 * @throws UserError when its folder lacks what a model has
 */
export async function findTransformersModel(name: string): Promise<FoundModel> {
  const isBundled = name === bundledClip || bundledCaptioners.some((bundled) => bundled === name);
  if (!isBundled && !isAbsolute(name)) return { location: name, key: name };
  // The package finds itself by its name, wherever its sources or dist/ lie.
  const location = isBundled
    ? join(dirname(createRequire(import.meta.url).resolve('sana-train/package.json')), 'models', name)
    : name;
  const files = await onnxFiles(location);
  if (files.length === 0) {
    throw new UserError(`${location} has no onnx/*.onnx; transformers.js runs models that were exported to ONNX.`);
  }
  const paths = ['config.json', ...files.map((file) => join('onnx', file))].map((file) => join(location, file));
  return { location, key: `${basename(location)} ${(await modelFilesKey(paths)).slice(0, 16)}` };
}
