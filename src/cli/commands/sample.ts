import { type Command, Option } from 'commander';

import { type SolverName, solverNames } from '../../../samplers/solver.ts';
import { type BasePrecision, basePrecisions, type TextPrecision, textPrecisions } from '../../models/precisions.ts';
import {
  type AdapterArgument,
  numberParser,
  parseAdapter,
  parseInterval,
  parseSize,
  type SizeArgument,
} from '../sample-arguments.ts';

/** The command's options as they are parsed. */
export interface SampleOptions {
  readonly prompt: readonly string[];
  readonly negative: string;
  readonly adapter?: readonly AdapterArgument[];
  readonly steps: number;
  readonly guidance: number;
  readonly guidanceInterval?: readonly [number, number];
  readonly seed: number;
  readonly count: number;
  readonly size?: SizeArgument;
  readonly solver?: SolverName;
  readonly flowShift?: number;
  readonly chi: 'diffusers' | 'nvlabs' | 'none';
  readonly maxSequenceLength: number;
  readonly revision?: string;
  readonly variant?: string;
  readonly precision: BasePrecision;
  readonly textPrecision: TextPrecision;
  readonly out: string;
}

const examples = `
The settings stand in each file: programs that show pictures with their prompts read them.

Examples:
  $ sana-train sample sana-pico --prompt "a pink rabbit cheering in a meadow"
  $ sana-train sample sana-pico -p "a photo of sks dog" --adapter dog.safetensors:0.8 --seed 7 --out dog.png
  $ sana-train sample Efficient-Large-Model/Sana_600M_512px_diffusers --variant fp16 -p "a red fox in the snow" --count 4`;

/** `sana-train sample MODEL --prompt ...`: pictures from a model and any adapters, as PNG files. */
export function define(command: Command): void {
  const number = numberParser;
  command
    .argument('<model>', 'sana-pico, a Hugging Face id, or the folder of a SanaPipeline in diffusers layout')
    .requiredOption(
      '-p, --prompt <text>',
      'what the picture shows; may be repeated',
      (text, others?: readonly string[]) => append(text, others),
    )
    .option('--negative <text>', 'what guidance leads away from', '')
    .option(
      '-a, --adapter <file[:scale]>',
      'an adapter (its file or folder) and how strongly it acts, 1 being as trained; may be repeated',
      (text, others?: readonly AdapterArgument[]) => append(parseAdapter(text), others),
    )
    .option('--steps <number>', 'steps of the solver', number('--steps', { least: 1, wholeOnly: true }), 20)
    .option(
      '--guidance <scale>',
      'how strongly the prompt is followed; 1 is no guidance, in half the time',
      number('--guidance'),
      4.5,
    )
    .option(
      '--guidance-interval <low:high>',
      'noise levels between which guidance acts, such as 0.1:0.9',
      parseInterval,
    )
    .option('--seed <number>', 'names the noise to start from', number('--seed', { wholeOnly: true }), 0)
    .option(
      '--count <number>',
      'pictures of each prompt; their seeds count up',
      number('--count', { least: 1, wholeOnly: true }),
      1,
    )
    .option('--size <pixels>', "side, or width x height such as 512x768 (default: the model's own)", parseSize)
    .addOption(new Option('--solver <name>', "the solver (default: the model's own)").choices(solverNames))
    .option('--flow-shift <number>', "shift of the noise levels (default: the model's own)", number('--flow-shift'))
    .addOption(
      new Option('--chi <name>', 'the instruction before every prompt')
        .choices(['diffusers', 'nvlabs', 'none'])
        .default('diffusers'),
    )
    .option(
      '--max-sequence-length <tokens>',
      'tokens of a prompt that the model sees',
      number('--max-sequence-length', { least: 2, wholeOnly: true }),
      300,
    )
    .option('--revision <name>', 'commit, branch or tag of a Hugging Face repository (default: main)')
    .option('--variant <name>', 'which weight files to read where there are several, such as fp16')
    .addOption(
      new Option('--precision <name>', 'the transformer: int8 is faster and a little off, nf4 takes the least memory')
        .choices(basePrecisions)
        .default('fp32'),
    )
    .addOption(
      new Option('--text-precision <name>', 'the text encoder: int8 is faster and a little off')
        .choices(textPrecisions)
        .default('fp32'),
    )
    .option('-o, --out <path>', 'a .png file for one picture, or a folder', 'samples')
    .addHelpText('after', examples)
    .action(async (model: string, options: SampleOptions) => {
      // What runs networks is loaded here, so that help comes at once.
      const { runSample } = await import('../run-sample.ts');
      await runSample(model, options);
    });
}

function append<T>(value: T, others: readonly T[] = []): readonly T[] {
  return [...others, value];
}
