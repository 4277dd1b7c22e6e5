import { z } from 'zod';

import { captionSection } from './caption-section.ts';
import { datasetSection } from './dataset-section.ts';
import { exportSection } from './export-section.ts';
import { logSection } from './log-section.ts';
import { loraSection } from './lora-section.ts';
import { modelSection } from './model-section.ts';
import { optionDocs } from './option.ts';
import { sampleSection } from './sample-section.ts';
import { trainSection } from './train-section.ts';

/** The whole of a config file: what is absent has its default, and nothing else may be there. */
export const configSchema = z
  .strictObject({
    model: modelSection,
    dataset: datasetSection,
    caption: captionSection.prefault({}),
    lora: loraSection.prefault({}),
    train: trainSection.prefault({}),
    sample: sampleSection.prefault({}),
    export: exportSection.prefault({}),
    log: logSection.prefault({}),
    run_dir: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .register(optionDocs, {
        about:
          'The folder of the run: the resolved config, events, checkpoints, samples, TensorBoard, the adapter and the report.',
        defaultText: "`runs/NAME` in the working directory, NAME being the config file's",
        path: 'output',
        otherNames: ['output_dir', 'workspace_dir', 'save_dir', 'work_dir', 'training_folder', 'logging_dir'],
      }),
  })
  .register(optionDocs, { about: 'A config of sana-train.' });

type DeepReadonly<T> = T extends readonly unknown[] | object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

type Parsed = z.output<typeof configSchema>;

/**
 * A checked config with every default filled in. Its data is the YAML's: snake_case, sections, plain values; only what
 * it resolves differs: paths are absolute, every source and prompt has all its options, `auto` is a number where the
 * config alone decides it.
 */
export type Config = DeepReadonly<Omit<Parsed, 'dataset' | 'run_dir'>> & {
  readonly dataset: DeepReadonly<Omit<Parsed['dataset'], 'cache_dir'>> & { readonly cache_dir: string };
  readonly run_dir: string;
};

/** `model` of a config. */
export type ModelConfig = Config['model'];
/** `dataset` of a config. */
export type DatasetConfig = Config['dataset'];
/** One of the sources of a dataset, with every option. */
export type SourceConfig = DatasetConfig['sources'][number];
/** `caption` of a config. */
export type CaptionConfig = Config['caption'];
/** One of the captioners. */
export type CaptionerConfig = CaptionConfig['captioners'][number];
/** `lora` of a config. */
export type LoraConfig = Config['lora'];
/** `train` of a config. */
export type TrainConfig = Config['train'];
/** `sample` of a config. */
export type SampleConfig = Config['sample'];
/** One of the prompts to sample, with every option. */
export type PromptConfig = SampleConfig['prompts'][number];
/** `export` of a config. */
export type ExportConfig = Config['export'];
/** `log` of a config. */
export type LogConfig = Config['log'];
