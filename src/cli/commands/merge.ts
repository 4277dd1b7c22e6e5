import { type Command, Option } from 'commander';

import { type AdapterFormat, adapterFormats, type FilePrecision, filePrecisions } from '../../export/format-names.ts';
import { type AdapterArgument, numberParser, parseAdapter } from '../sample-arguments.ts';

/** The command's options as they are parsed. */
export interface MergeOptions {
  readonly output: string;
  readonly format: AdapterFormat;
  readonly dtype: FilePrecision;
  readonly rank?: number;
  readonly title?: string;
}

/** `sana-train merge FILE:SCALE FILE:SCALE`: one adapter that adds what several add. */
export function define(command: Command): void {
  command
    .argument(
      '<adapters...>',
      'two adapters or more, of any format, each with how strongly it acts: FILE:SCALE',
      (text: string, others: readonly AdapterArgument[]) => [...others, parseAdapter(text)],
      [],
    )
    .requiredOption('-o, --output <file>', 'the file to write')
    .addOption(new Option('-f, --format <name>', 'what to write').choices(adapterFormats).default('diffusers'))
    .addOption(new Option('--dtype <name>', 'precision').choices(filePrecisions).default('fp32'))
    .option(
      '--rank <number>',
      'resizes to this rank by SVD (default: the sum of the ranks, which loses nothing)',
      numberParser('--rank', { least: 1, wholeOnly: true }),
    )
    .option('--title <text>', "what the file's metadata call it")
    .addHelpText(
      'after',
      `
To merge an adapter into its model: sana-train export FILE --format merged.

Examples:
  $ sana-train merge dog.safetensors:0.8 style.safetensors:0.5 --output dog-in-style.safetensors
  $ sana-train merge dog.safetensors style.safetensors --rank 16 --output both.safetensors`,
    )
    .action(async (adapters: readonly AdapterArgument[], options: MergeOptions) => {
      const { runMerge } = await import('../run-merge.ts');
      await runMerge(adapters, options);
    });
}
