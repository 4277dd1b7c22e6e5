import { basename, resolve } from 'node:path';

import type { DatasetOptions } from '../../datasets/dataset-options.ts';
import type { Config, SourceConfig } from '../config/schema.ts';

/** A source's data sets: its pictures, and the class pictures beside them. */
export interface SourceDatasets {
  readonly source: SourceConfig;
  readonly instance: DatasetOptions;
  readonly class?: DatasetOptions;
}

const captionsFrom = {
  auto: 'auto',
  table: 'table',
  txt: 'txt',
  filename: 'filename',
  instance_prompt: 'prompt',
} as const;

/** '#ff8000' as [255, 128, 0]. */
function rgb(hex: string): readonly [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The folder's own name, with a number where another source has it already. */
function nameOf(source: SourceConfig, taken: Set<string>): string {
  const own = source.name ?? basename(resolve(source.path));
  let name = own;
  for (let count = 2; source.name === null && taken.has(name); count++) name = `${own}-${count}`;
  taken.add(name);
  return name;
}

/**
 * The data sets that a config describes.
 *
 * @param resolution what `auto` stands for
 * @param classFolder where a source's class pictures are
 */
export function datasetOptions(
  { dataset, train }: Pick<Config, 'dataset' | 'train'>,
  resolution: number,
  classFolder: (source: SourceConfig) => string,
): readonly SourceDatasets[] {
  const taken = new Set<string>();
  return dataset.sources.map((source) => {
    const name = nameOf(source, taken);
    const common = {
      resolutions: source.resolution === 'auto' ? [resolution] : source.resolution,
      square: !source.aspect_ratio_buckets,
      crop: source.center_crop ? ('center' as const) : ('random' as const),
      flip: source.random_flip,
      background: rgb(source.background_color),
      minSide: source.minimum_image_size,
      dropout: source.caption_dropout,
    };
    const instance: DatasetOptions = {
      ...common,
      folder: source.path,
      name,
      kind: 'instance',
      ...(source.files && { files: source.files }),
      repeats: source.repeats,
      weight: source.weight,
      captionsFrom: captionsFrom[source.captions],
      ...(source.caption_table !== null && { captionTable: source.caption_table }),
      ...(source.instance_prompt !== null && { instancePrompt: source.instance_prompt }),
      ...(source.trigger_word !== null && { triggerWord: source.trigger_word }),
      prefix: source.caption_prefix,
      suffix: source.caption_suffix,
      shuffleTags: source.shuffle_tags,
      keepTags: source.keep_tags,
      ...(source.mask !== null && { mask: source.mask === 'alpha' ? ('alpha' as const) : { folder: source.mask } }),
      duplicates: source.duplicates === 'skip' ? 'leave-out' : 'keep',
    };
    if (!train.with_prior_preservation || source.class_prompt === null) return { source, instance };
    const prior: DatasetOptions = {
      ...common,
      folder: classFolder(source),
      name: `${name}-class`,
      kind: 'class',
      captionsFrom: 'prompt',
      instancePrompt: source.class_prompt,
    };
    return { source, instance, class: prior };
  });
}
