import { join } from 'node:path';

import { modelFilesKey } from '../../datasets/cache-keys.ts';
import type { SanaPipeline } from '../pipeline/open-pipeline.ts';

/** Keys of the pipeline's parts by the contents of their files. */
export async function pipelineKey(
  pipeline: SanaPipeline,
): Promise<{ readonly transformer: string; readonly vae: string; readonly text: string }> {
  const filesOf = (weights: ReadonlyMap<string, object>): string[] => [
    ...new Set(
      [...weights.values()].flatMap((value) => ('path' in value && typeof value.path === 'string' ? [value.path] : [])),
    ),
  ];
  const [transformer, vae, { textEncoder }] = [
    await pipeline.loadTransformer(),
    await pipeline.loadVae(),
    await pipeline.loadPromptEncoder(),
  ];
  const config = (part: string): string =>
    join(pipeline.folder, part, part === 'tokenizer' ? 'tokenizer.json' : 'config.json');
  return {
    transformer: await modelFilesKey([config('transformer'), ...filesOf(transformer.weights)]),
    vae: await modelFilesKey([config('vae'), ...filesOf(vae.weights)]),
    text: await modelFilesKey([config('text_encoder'), config('tokenizer'), ...filesOf(textEncoder.weights)]),
  };
}
