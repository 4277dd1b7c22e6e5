import { type Command, Option } from 'commander';

import { type AdapterFormat, adapterFormats, type FilePrecision, filePrecisions } from '../../export/format-names.ts';
import { numberParser } from '../sample-arguments.ts';

/** The command's options as they are parsed. */
export interface ExtractCommandOptions {
  readonly rank: number;
  readonly output?: string;
  readonly format: AdapterFormat;
  readonly dtype: FilePrecision;
  readonly variant?: string;
  readonly title?: string;
}

/** `sana-train extract BASE TUNED`: what a tuned model learned, as an adapter of its base. */
export function define(command: Command): void {
  command
    .argument('<base>', "the model before: a pipeline's folder, a Hugging Face id, or one .safetensors file")
    .argument('<tuned>', 'the model after')
    .requiredOption(
      '--rank <number>',
      "the adapter's rank: the higher, the nearer to the tuned model",
      numberParser('--rank', { least: 1, wholeOnly: true }),
    )
    .option('-o, --output <file>', 'the file to write (default: TUNED-lora.safetensors)')
    .addOption(new Option('-f, --format <name>', 'what to write').choices(adapterFormats).default('diffusers'))
    .addOption(new Option('--dtype <name>', 'precision').choices(filePrecisions).default('fp32'))
    .option('--variant <name>', 'which weight files to read where there are several, such as fp16')
    .option('--title <text>', "what the file's metadata call it")
    .addHelpText(
      'after',
      `
The adapter is the LoRA nearest to what changed, layer by layer (SVD); how much of it a block loses is printed. A layer
at a time is in memory.

Examples:
  $ sana-train extract Efficient-Large-Model/Sana_600M_512px_diffusers my-finetune --rank 32
  $ sana-train extract sana.safetensors tuned.safetensors --rank 16 --dtype bf16 --output style.safetensors`,
    )
    .action(async (base: string, tuned: string, options: ExtractCommandOptions) => {
      const { runExtract } = await import('../run-extract.ts');
      await runExtract(base, tuned, options);
    });
}
