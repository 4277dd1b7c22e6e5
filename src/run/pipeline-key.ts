import { join } from 'node:path';

import { keyOf, modelFilesKey } from '../../datasets/cache-keys.ts';
import type { ModelConfig } from '../config/schema.ts';
import type { DcAeOptions } from '../models/dc-ae.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';

/** `model.vae_tiling` as createDcAe takes it: always in tiles what is larger than one, or never. */
export function vaeOptions({ vae_tiling: tiling }: Pick<ModelConfig, 'vae_tiling'>): DcAeOptions {
  return tiling === 'auto' ? {} : { maxPixels: tiling ? 0 : Number.POSITIVE_INFINITY };
}

/** The files that weights lie in. */
function filesOf(weights: ReadonlyMap<string, object>): readonly string[] {
  const paths = [...weights.values()].flatMap((value) =>
    'path' in value && typeof value.path === 'string' ? [value.path] : [],
  );
  return [...new Set(paths)];
}

/** The key of the transformer by the contents of its files. */
export async function transformerKey(pipeline: SanaPipeline): Promise<string> {
  const { weights } = await pipeline.loadTransformer();
  return await modelFilesKey([join(pipeline.folder, 'transformer', 'config.json'), ...filesOf(weights)]);
}

/** The key of the text encoder and its tokenizer by the contents of their files. */
export async function textEncoderKey(pipeline: SanaPipeline): Promise<string> {
  const { textEncoder } = await pipeline.loadPromptEncoder();
  return await modelFilesKey([
    join(pipeline.folder, 'text_encoder', 'config.json'),
    join(pipeline.folder, 'tokenizer', 'tokenizer.json'),
    ...filesOf(textEncoder.weights),
  ]);
}

/** Keys of the pipeline's parts by the contents of their files. */
export async function pipelineKey(
  pipeline: SanaPipeline,
): Promise<{ readonly transformer: string; readonly vae: string; readonly text: string }> {
  const vae = await pipeline.loadVae();
  const vaeKey = await modelFilesKey([join(pipeline.folder, 'vae', 'config.json'), ...filesOf(vae.weights)]);
  return {
    transformer: await transformerKey(pipeline),
    vae:
      Object.keys(pipeline.vaeOptions).length === 0
        ? vaeKey
        : keyOf({ vae: vaeKey, options: String(pipeline.vaeOptions.maxPixels) }),
    text: await textEncoderKey(pipeline),
  };
}
