import { createHash } from 'node:crypto';

import { type Tensor, tensorBytes } from '../graph/tensor.ts';
import { fileOrdered } from '../io/safetensors-header.ts';

/** What a file says of itself to people. */
export interface AdapterAbout {
  readonly title: string;
  readonly author?: string;
  readonly license?: string;
  readonly description?: string;
  /** Words that a prompt needs for the adapter to show. */
  readonly triggers?: readonly string[];
  /** Pixels of a picture's side in training. */
  readonly resolution?: number;
  /** A small picture as a data URI. */
  readonly thumbnail?: string;
}

/**
 * Metadata by the ModelSpec standard 1.0.0 (Stability-AI/ModelSpec), which kohya's tools, ComfyUI's and SD.Next's
 * browsers show.
 * @param tensors what the hash is of: their bytes in the order of the file
 */
export function modelSpec(about: AdapterAbout, tensors: ReadonlyMap<string, Tensor>): Readonly<Record<string, string>> {
  const hash = createHash('sha256');
  for (const [, value] of fileOrdered(tensors)) hash.update(tensorBytes(value));
  const { title, author, license, description, triggers = [], resolution, thumbnail } = about;
  return {
    'modelspec.sai_model_spec': '1.0.0',
    'modelspec.architecture': 'sana/lora',
    'modelspec.implementation': 'https://github.com/NVlabs/Sana',
    'modelspec.title': title,
    'modelspec.hash_sha256': `0x${hash.digest('hex')}`,
    ...(author !== undefined && { 'modelspec.author': author }),
    ...(license !== undefined && { 'modelspec.license': license }),
    ...(description !== undefined && { 'modelspec.description': description }),
    ...(triggers.length > 0 && { 'modelspec.trigger_phrase': triggers.join(', ') }),
    ...(resolution !== undefined && { 'modelspec.resolution': `${resolution}x${resolution}` }),
    ...(thumbnail !== undefined && { 'modelspec.thumbnail': thumbnail }),
  };
}
