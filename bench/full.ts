import { type Command, Option } from 'commander';

import { type PeakMemory, watchMemory } from './memory.ts';
import { openSample, openText, openVae, type Part, parseSize, type Storage, storage } from './parts.ts';
import { sanaSizes } from './random-model.ts';
import { addStepOptions, openStepper, precisionOption, type StepOptions } from './step.ts';

const modelOption = (): Option =>
  new Option('--model <size>', "Sana's published sizes").choices(Object.keys(sanaSizes)).default('0.6b');
const storageOption = (): Option =>
  new Option('--precision <p>', 'how the weights are stored').choices(Object.keys(storage)).default('bf16');

interface Runs {
  readonly runs: number;
}

/** Adds `bench full`, `text`, `vae` and `sample`: parts of Sana at their true size, on random weights that they write. */
export function addFullCommands(program: Command): void {
  const full = addStepOptions(program.command('full').description("a LoRA step of Sana's true size"));
  full.addOption(modelOption()).option('--size <px>', 'side of the picture', parseSize, 512);
  full.option('--runs <n>', 'steps to time', Number, 2);
  full.action(async (options: StepOptions & Runs & { model: keyof typeof sanaSizes; size: number }) => {
    const { model, size, runs } = options;
    const latent = `${size / 32}x${size / 32}`;
    // --layers is for a quick look: unless it is given, all are there.
    const layers = full.getOptionValueSource('layers') === 'default' ? sanaSizes[model].layers : options.layers;
    const name = `step ${model}, ${layers} layers, ${size} px, ${options.precision}, checkpointing ${options.checkpointing}`;
    await report(name, runs, async () => {
      const stepper = await openStepper({ ...options, ...sanaSizes[model], layers, latent });
      return { run: () => stepper.step(), close: () => stepper.close() };
    });
  });

  program
    .command('text')
    .description("Gemma-2-2B's shapes on one prompt")
    .addOption(new Option('--model <name>', 'the text encoder').choices(['gemma-2-2b']).default('gemma-2-2b'))
    .option('--layers <n>', 'layers of its 26', Number, 26)
    .option('--tokens <n>', 'tokens of the prompt with its instruction', Number, 280)
    .addOption(
      new Option('--precision <p>', 'how the weights are stored, or int8')
        .choices([...Object.keys(storage), 'int8'])
        .default('bf16'),
    )
    .option('--runs <n>', 'runs to time', Number, 2)
    .action(async ({ layers, tokens, precision, runs }: Runs & Parameters<typeof openText>[0]) => {
      await report(`text, ${layers} layers, ${tokens} tokens, ${precision}`, runs, () =>
        openText({ layers, precision, tokens }),
      );
    });

  program
    .command('vae')
    .description('the f32c32 DC-AE on one picture')
    .option('--size <px>', 'side of the picture', parseSize, 1024)
    .addOption(new Option('--half <half>', 'which half').choices(['encode', 'decode', 'both']).default('both'))
    .addOption(storageOption())
    .option('--runs <n>', 'runs to time', Number, 1)
    .action(async ({ size, half, precision, runs }: Runs & { size: number; half: string; precision: Storage }) => {
      for (const part of ['encode', 'decode'] as const) {
        if (half !== 'both' && half !== part) continue;
        await report(`${part}, ${size} px, ${precision}`, runs, () => openVae({ size, half: part, precision }));
      }
    });

  program
    .command('sample')
    .description('latents from noise with guidance')
    .addOption(modelOption())
    .option('--layers <n>', 'fewer layers', Number)
    .option('--size <px>', 'side of the picture', parseSize, 512)
    .option('--steps <n>', 'steps of the solver', Number, 20)
    .option('--text-tokens <n>', 'tokens of the prompt', Number, 40)
    .addOption(precisionOption().default('bf16'))
    .option('--runs <n>', 'runs to time', Number, 1)
    .action(async ({ runs, ...options }: Runs & Parameters<typeof openSample>[0]) => {
      const { model, size, steps, precision } = options;
      await report(`sample ${model}, ${size} px, ${steps} steps, ${precision}`, runs, () => openSample(options));
    });
}

/** Opens a part, runs it once to warm up, then times it; prints a line of JSON. */
async function report(name: string, runs: number, open: () => Promise<Part>): Promise<void> {
  const part = await open();
  const endWatch = watchMemory();
  const seconds: number[] = [await part.run()];
  // Of all threads: what a run costs even where others keep the processor busy.
  const processor: number[] = [];
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    seconds.push(await part.run());
    const { user, system } = process.cpuUsage(before);
    processor.push((user + system) / 1e6);
  }
  const memory: PeakMemory = await endWatch();
  await part.close();
  const rounded = (values: readonly number[]): readonly number[] => values.map((value) => Number(value.toFixed(3)));
  const [first, ...rest] = rounded(seconds);
  console.log(JSON.stringify({ name, first, seconds: rest, processorSeconds: rounded(processor), ...memory }));
}
