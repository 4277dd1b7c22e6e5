import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

import { type Command, InvalidArgumentError, Option } from 'commander';

import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import { float32 } from '../src/graph/tensor.ts';
import { adaptedModules } from '../src/lora/adapter-config.ts';
import { createAdapter } from '../src/lora/create-adapter.ts';
import { createTrainingStep } from '../src/lora/training-step.ts';
import { sanaModules } from '../src/models/sana-transformer-config.ts';
import { createOptimizer } from '../src/optim/create-optimizer.ts';
import { createRandom } from '../src/random.ts';
import { initialState } from '../src/run/train-state.ts';
import { type NamedBatch, trainLora } from '../trainers/lora.ts';
import { openRandomTransformer, type TransformerPrecision, transformerStorage } from './random-transformer.ts';

/** Modules that each value of --targets adapts. */
export const targets = {
  attention: ['to_q', 'to_k', 'to_v'],
  all: ['to_q', 'to_k', 'to_v', 'to_out.0', 'conv_inverted', 'conv_point'],
} as const;

/** The shape of a step, as the command line gives it. */
export interface StepOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly crossHeads: number;
  readonly latent: string;
  readonly textTokens: number;
  readonly realTextTokens: number;
  readonly rank: number;
  readonly targets: keyof typeof targets;
  readonly precision: TransformerPrecision;
  readonly batch: number;
  readonly checkpointing: 'on' | 'off';
  readonly threads: number;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('use a whole number.');
  return value;
}

/** --precision of a transformer. */
export function precisionOption(): Option {
  return new Option(
    '--precision <p>',
    'how frozen weights are stored; int8 is also multiplied so, nf4 is in 4 bits',
  ).choices(Object.keys(transformerStorage));
}

/** Adds the options of StepOptions to a command. */
export function addStepOptions(command: Command): Command {
  return command
    .option('--layers <n>', 'transformer blocks', wholeNumber, 4)
    .option('--width <n>', 'channels', wholeNumber, 1152)
    .option('--heads <n>', 'heads of the linear attention', wholeNumber, 36)
    .option('--cross-heads <n>', 'heads of the cross-attention', wholeNumber, 16)
    .option('--latent <HxW>', 'latent size', '16x16')
    .option('--text-tokens <n>', 'text rows with padding', wholeNumber, 300)
    .option('--real-text-tokens <n>', 'text rows that are not padding', wholeNumber, 40)
    .option('--rank <n>', 'rank of the adapters', wholeNumber, 16)
    .addOption(
      new Option('--targets <set>', 'q, k, v; or also out, conv_inverted, conv_point')
        .choices(Object.keys(targets))
        .default('attention'),
    )
    .addOption(precisionOption().default('fp32'))
    .option('--batch <n>', 'samples a step', wholeNumber, 1)
    .option('--threads <n>', 'threads of a product, of both sides', wholeNumber, availableParallelism())
    .addOption(
      new Option('--checkpointing <on|off>', 'recompute blocks in the backward pass')
        .choices(['on', 'off'])
        .default('off'),
    );
}

/** Adds `bench step`: whole training steps (forward, backward, clip, AdamW) on random weights of a given shape. */
export function addStepCommand(program: Command): void {
  addStepOptions(program.command('step').description('seconds of a whole LoRA training step on random weights'))
    .option('--steps <n>', 'steps to time', wholeNumber, 8)
    .option('--warmup <n>', 'steps before those, not timed', wholeNumber, 2)
    .option('--json', 'print nothing but the result')
    .action(
      async (options: StepOptions & { readonly steps: number; readonly warmup: number; readonly json?: boolean }) => {
        const stepper = await openStepper(options);
        for (let i = 0; i < options.warmup; i++) await stepper.step();
        const secondsPerStep: number[] = [];
        for (let i = 0; i < options.steps; i++) secondsPerStep.push(await stepper.step());
        const anonymousMiB = await anonymousMemory();
        await stepper.close();
        const peakRssMiB = Math.round(process.resourceUsage().maxRSS / 1024);
        if (!options.json) console.log(`fastest ${Math.min(...secondsPerStep).toFixed(3)} s, peak ${peakRssMiB} MiB`);
        console.log(JSON.stringify({ secondsPerStep, peakRssMiB, anonymousMiB, loss: stepper.loss() }));
      },
    );
}

/** A training run that goes on step by step. */
export interface Stepper {
  /** One whole optimizer step; gives its seconds. */
  step(): Promise<number>;
  /** The last step's loss. */
  loss(): number;
  close(): Promise<void>;
}

/** Opens the trainer on random weights and a random batch. */
export async function openStepper(options: StepOptions): Promise<Stepper> {
  const { layers, width, heads, crossHeads, rank, batch: batchSize, textTokens, realTextTokens } = options;
  const engine = createOnnxruntimeEngine({ threads: options.threads });
  const shape = { layers, width, heads, crossHeads };
  const { exact, model } = await openRandomTransformer(engine, shape, options.precision);
  const modules = adaptedModules(sanaModules(model.config), {
    type: 'lora',
    rank,
    alpha: rank,
    rankPattern: {},
    alphaPattern: {},
    targetModules: targets[options.targets],
    rslora: false,
    dropout: 0,
  });
  const random = createRandom('bench');
  const parameters = await createAdapter(modules, exact.weights, random);
  const trainingStep = await createTrainingStep(engine, model, modules, {
    gradientCheckpointing: options.checkpointing === 'on',
  });

  const [latentHeight = 16, latentWidth = 16] = options.latent.split('x').map(Number);
  const latentShape = [batchSize, model.config.in_channels, latentHeight, latentWidth];
  const count = latentShape.reduce((a, b) => a * b, 1);
  const mask = new Float32Array(batchSize * textTokens);
  for (let b = 0; b < batchSize; b++) mask.fill(1, b * textTokens, b * textTokens + realTextTokens);
  const textShape = [batchSize, textTokens, model.config.caption_channels];
  const batch: NamedBatch = {
    ids: Array.from({ length: batchSize }, (_, i) => `example ${i}`),
    latents: float32(latentShape, random.normals(count)),
    noise: float32(latentShape, random.normals(count)),
    sigmas: Array.from({ length: batchSize }, () => random.uniform()),
    promptEmbeds: float32(textShape, random.normals(textShape.reduce((a, b) => a * b, 1))),
    promptAttentionMask: float32([batchSize, textTokens], mask),
  };
  const optimizer = createOptimizer({ name: 'adamw' });
  const steps = trainLora({
    trainingStep,
    optimizer,
    state: initialState(parameters, optimizer),
    schedule: () => 1e-4,
    batch: () => batch,
    maxTrainSteps: Number.POSITIVE_INFINITY,
  });
  let loss = Number.NaN;
  return {
    async step() {
      const before = performance.now();
      const { value } = await steps.next();
      if (typeof value === 'object' && value.kind === 'step') loss = value.loss;
      return (performance.now() - before) / 1000;
    },
    loss: () => loss,
    async close() {
      await trainingStep.dispose();
      await engine.close();
    },
  };
}

/** Memory that is no mapped file, in MiB; Linux alone tells. */
async function anonymousMemory(): Promise<number | null> {
  try {
    const text = await readFile('/proc/self/smaps_rollup', 'utf8');
    return Math.round(Number(/^Anonymous:\s+(\d+)/m.exec(text)?.[1]) / 1024);
  } catch {
    return null;
  }
}
