import { readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';

import sharp from 'sharp';

import type { Config } from '../config/schema.ts';
import type { TrainEvent } from '../events.ts';
import { exportAdapter } from '../export/export-adapter.ts';
import type { ExportFormat } from '../export/format-names.ts';
import { exportFileName } from '../export/file-names.ts';
import type { AdapterAbout } from '../export/model-spec.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { type Adapter, adapterFileName } from '../lora/adapter-file.ts';
import { hasLycoris } from '../lora/resize-adapter.ts';
import { loadSanaTransformer } from '../models/load-sana-transformer.ts';
import { type RunSampler, samplePath } from './run-samples.ts';

const storage = { fp32: 'float32', bf16: 'bfloat16', fp16: 'float16' } as const;
/** Pixels of the longer side of the picture that browsers of adapters show. */
const thumbnailSize = 256;

/** Whether the files of a run hold something else than what was trained: another strength, rank or spelling of alpha. */
function changesAdapter({ scale, rank, fold_alpha: folds }: Config['export']): boolean {
  return scale !== 1 || rank !== null || folds;
}

/** The formats that a config asks for; `auto` is what loads such an adapter as it is. */
export function formatsOf({ export: { formats } }: Config, modules: AdaptedModules): readonly ExportFormat[] {
  if (formats === 'auto') return [hasLycoris({ modules }) ? 'lycoris' : 'diffusers'];
  return [...new Set(formats)];
}

/** Whether diffusers' file holds the trained numbers as they are. */
export function isAsTrained(config: Config, modules: AdaptedModules): boolean {
  return !changesAdapter(config.export) && !hasLycoris({ modules });
}

/** The folder that a run's files go to. */
export function exportFolder(config: Config, runDir: string): string {
  return config.export.output ?? join(runDir, 'adapter');
}

/** The name of a run's file in a format. */
export function runFileName(format: ExportFormat, runDir: string, layout: 'diffusers' | 'native'): string {
  return format === 'diffusers' ? adapterFileName : exportFileName(format, basename(runDir), layout);
}

/** Writes the formats that a config asks for, but for diffusers' where that is the trained adapter as it is. */
export async function* exportFormats(
  config: Config,
  runDir: string,
  step: number,
  adapter: Adapter,
  sampler: RunSampler,
): AsyncGenerator<TrainEvent> {
  const { dtype, scale, rank, fold_alpha: foldAlpha, merged_layout: layout } = config.export;
  const asTrained = isAsTrained(config, adapter.modules);
  const formats = formatsOf(config, adapter.modules).filter((format) => format !== 'diffusers' || !asTrained);
  if (formats.length === 0) return;
  const folder = exportFolder(config, runDir);
  const base = {
    folder: sampler.pipeline.folder,
    // What is written and checked is the model itself, whatever precision it was trained in.
    model:
      config.train.precision === 'fp32'
        ? await sampler.pipeline.loadTransformer()
        : await loadSanaTransformer(join(sampler.pipeline.folder, 'transformer'), {
            ...(config.model.variant !== null && { variant: config.model.variant }),
          }),
    engine: sampler.engine,
  };
  const about = await aboutRun(config, runDir, step);
  for (const format of formats) {
    const name = runFileName(format, runDir, layout);
    const result = await exportAdapter(adapter, {
      format,
      output: join(folder, name),
      dtype: storage[dtype],
      scale,
      foldAlpha,
      layout,
      about,
      base,
      replace: true,
      ...(rank !== null && { rank }),
    });
    if (result.resizeError !== undefined) {
      const lost = `${(100 * result.resizeError).toPrecision(2)}%`;
      yield { kind: 'log', message: `${name}: resized to rank ${rank}, ${lost} of the adapter's effect is lost` };
    }
    const path = config.export.output === null ? relative(runDir, result.path) : result.path;
    yield { kind: 'export', format, path: path.replaceAll('\\', '/') };
  }
}

async function aboutRun(config: Config, runDir: string, step: number): Promise<AdapterAbout> {
  const { title, author, license } = config.export;
  const picture = await readFile(join(runDir, samplePath(0, step))).catch(() => undefined);
  const small =
    picture && (await sharp(picture).resize(thumbnailSize, thumbnailSize, { fit: 'inside' }).jpeg().toBuffer());
  return {
    title: title ?? basename(runDir),
    triggers: config.dataset.sources.flatMap(
      ({ trigger_word, instance_prompt }) => trigger_word ?? instance_prompt ?? [],
    ),
    ...(author !== null && { author }),
    ...(license !== null && { license }),
    ...(small && { thumbnail: `data:image/jpeg;base64,${small.toString('base64')}` }),
  };
}
