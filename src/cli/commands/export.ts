import { type Command, Option } from 'commander';

import { type ExportFormat, exportFormats, type FilePrecision, filePrecisions } from '../../export/format-names.ts';
import { numberParser } from '../sample-arguments.ts';

/** The command's options as they are parsed. */
export interface ExportCommandOptions {
  /** Absent with `push`. */
  readonly format?: ExportFormat;
  readonly push?: string;
  readonly private: boolean;
  readonly output?: string;
  readonly dtype?: FilePrecision;
  readonly scale: number;
  readonly rank?: number;
  readonly foldAlpha: boolean;
  readonly layout: 'diffusers' | 'native';
  readonly model?: string;
  readonly variant?: string;
  readonly title?: string;
  readonly author?: string;
  readonly license?: string;
  readonly trigger: readonly string[];
}

/** `sana-train export RUN|FILE`: writes an adapter as other programs load it. */
export function define(command: Command): void {
  command
    .argument('<source>', "a run's folder, or an adapter of any format (a file, or a folder of diffusers or peft)")
    .addOption(new Option('-f, --format <name>', 'what to write').choices(exportFormats))
    .addOption(
      new Option(
        '--push <owner/name>',
        "in place of --format: sends the run's files to the Hugging Face hub",
      ).conflicts(['format', 'output']),
    )
    .option('--private', 'makes that repository private, if it is not there yet', false)
    .option('-o, --output <path>', 'the file (or folder, for a merged model) to write')
    .addOption(
      new Option('--dtype <name>', "precision (default: fp32; of a merged model, its own files')").choices(
        filePrecisions,
      ),
    )
    .option('--scale <number>', "multiplies the adapter's effect", numberParser('--scale'), 1)
    .option('--rank <number>', 'resizes to a lower rank by SVD', numberParser('--rank', { least: 1, wholeOnly: true }))
    .option('--fold-alpha', 'diffusers: multiply the scale into the weights, for versions before 0.34', false)
    .addOption(
      new Option('--layout <name>', "merged: a pipeline's folder, or one file with NVlabs' names for ComfyUI")
        .choices(['diffusers', 'native'])
        .default('diffusers'),
    )
    .option('-m, --model <name>', "the base model (default: the run's); checks the file by a forward pass too")
    .option('--variant <name>', 'which of its weight files to read where there are several, such as fp16')
    .option('--title <text>', "what the file's metadata call it (default: the file's or run's name)")
    .option('--author <text>', 'whose it is')
    .option('--license <text>', 'its licence')
    .option(
      '--trigger <word>',
      'a word that a prompt needs; may be repeated',
      (text: string, others: readonly string[]) => [...others, text],
      [],
    )
    .addHelpText(
      'after',
      `
What was written is read back and compared before the command says so.

Examples:
  $ sana-train export runs/dog --format comfyui
  $ sana-train export dog.safetensors --format kohya --dtype fp16 --trigger "sks dog"
  $ sana-train export runs/dog --format merged --output dog-sana --dtype bf16
  $ sana-train export runs/dog --format merged --layout native --output dog-sana.safetensors
  $ HF_TOKEN=hf_... sana-train export runs/dog --push me/dog-sana --private`,
    )
    .action(async (source: string, options: ExportCommandOptions) => {
      const { runExport } = await import('../run-export.ts');
      await runExport(source, options);
    });
}
