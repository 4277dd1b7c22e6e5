import { join } from 'node:path';

import { keyOf } from '../../datasets/cache-keys.ts';
import type { DatasetOptions } from '../../datasets/dataset-options.ts';
import { type LoadedDatasets, loadDatasets } from '../../datasets/load-datasets.ts';
import { formatReport } from '../../datasets/report.ts';
import { classDatasetOptions, datasetOptions } from '../config/options.ts';
import type { Config, SourceConfig } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import type { TrainEvent } from '../events.ts';
import { type ClassPictureOptions, makeClassPictures } from './class-pictures.ts';

/** What the pictures of a run are found and made with. */
export interface LoadPicturesOptions extends Omit<ClassPictureOptions, 'folder'> {
  /** Where class pictures go that have no folder of their own. */
  readonly cacheFolder: string;
  /** Key of the transformer's files, which class pictures depend on. */
  readonly transformerKey: string;
}

/** The pictures of a run, and its sources as loadDatasets took them. */
export interface RunPictures {
  readonly datasets: LoadedDatasets;
  readonly instances: readonly DatasetOptions[];
}

/**
 * Finds a run's pictures and tells of each that is not as it should be; class pictures are made first where the config
 * wants the prior kept.
 * @throws UserError when there are none
 */
export async function* loadPictures(
  { dataset, train }: Pick<Config, 'dataset' | 'train'>,
  { cacheFolder, transformerKey, ...making }: LoadPicturesOptions,
): AsyncGenerator<TrainEvent, RunPictures> {
  const { size, signal } = making;
  const classFolder = (source: SourceConfig): string =>
    source.class_data_dir ??
    join(cacheFolder, 'class-pictures', keyOf({ prompt: source.class_prompt, model: transformerKey }).slice(0, 16));
  const withPrior = train.with_prior_preservation ? dataset.sources : [];
  for (const source of withPrior) yield* makeClassPictures(source, { ...making, folder: classFolder(source) });

  const instances = datasetOptions(dataset, size);
  // Sources of one class share its pictures.
  const priors = new Map<string, DatasetOptions>();
  for (const source of withPrior) {
    const options = classDatasetOptions(source, classFolder(source), size);
    if (options) priors.set(options.folder, options);
  }
  const datasets = await loadDatasets([...instances, ...priors.values()], signal ? { signal } : {});
  for (const line of formatReport(datasets.report)) yield { kind: 'log', message: line };
  if (priors.size > 0 && !datasets.examples.some((example) => example.dataset.kind === 'class')) {
    throw new UserError(
      `train.with_prior_preservation is true, and none of the class pictures in ${[...priors.keys()].join(', ')} can be used; see the lines above, or delete the folder so that they are made anew.`,
    );
  }
  return { datasets, instances };
}
