import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

import { type Command, Option } from 'commander';

import { openSample, openText, openVae, type Part, parseSize, type Storage, storage } from './parts.ts';
import { randomModel, sanaSizes } from './random-model.ts';
import { addStepOptions, openStepper, type StepOptions } from './step.ts';

/** Between two runs. */
const restMs = 300;

const parts = ['step', 'sample', 'encode', 'decode', 'text'] as const;

interface VersusOptions extends StepOptions {
  readonly what: (typeof parts)[number];
  readonly rounds: number;
  readonly turn: number;
  readonly size: number;
  readonly tokens: number;
  readonly padded: number;
  readonly peers: string;
}

/** Adds `bench versus VENV`: this project and PyTorch take turns of a few runs on the same cores. */
export function addVersusCommand(program: Command): void {
  addStepOptions(program.command('versus').description('a part here and with PyTorch, alternated'))
    .argument('<venv>', 'a Python environment with torch, diffusers, transformers and peft')
    .addOption(new Option('--what <part>', 'what runs').choices(parts).default('step'))
    .option('--size <px>', 'side of the picture; of a step --latent', parseSize, 512)
    .option('--tokens <n>', 'tokens that the text encoder reads', Number, 280)
    .option('--padded <n>', 'tokens with the padding that diffusers adds', Number, 540)
    .option('--peers <list>', "PyTorch's precisions", 'fp32,bf16')
    .option('--rounds <n>', 'turns of each side', Number, 8)
    .option('--turn <n>', 'runs in a turn: the first finds the caches full of what the other side needs', Number, 3)
    .action(async (venv: string, options: VersusOptions) => {
      const ours = await openOurs(options);
      const peer = openPeer(venv, await peerArguments(options));
      await ours.run();
      const sides = [
        { name: `sana-train ${options.precision}`, run: ours.run },
        ...options.peers.split(',').map((name) => ({ name: `PyTorch ${name}`, run: () => peer.run(name) })),
      ];
      const seconds = sides.map((): number[] => []);
      for (let round = 0; round < options.rounds; round++) {
        for (const [i, side] of sides.entries()) {
          // Threads of the side before may spin for a while after their work.
          await setTimeout(restMs);
          for (let run = 0; run < options.turn; run++) seconds[i]?.push(await side.run());
        }
      }
      await ours.close();
      await peer.close();
      const fastest = Math.min(...(seconds[0] ?? []));
      console.log('| side | minimum s | median s | maximum s | ours / this, by minimum |');
      console.log('| --- | --- | --- | --- | --- |');
      for (const [i, { name }] of sides.entries()) {
        const sorted = (seconds[i] ?? []).toSorted((a, b) => a - b);
        const minimum = sorted[0] ?? Number.NaN;
        const figures = [minimum, sorted[sorted.length >> 1], sorted.at(-1), fastest / minimum];
        console.log(`| ${name} | ${figures.map((value = Number.NaN) => value.toFixed(3)).join(' | ')} |`);
      }
    });
}

/** The transformer that is sampled has the layers and the width of a step's. */
async function openOurs(options: VersusOptions): Promise<Part> {
  const { what, size, layers, tokens } = options;
  if (what === 'step') {
    const stepper = await openStepper(options);
    return { run: () => stepper.step(), close: () => stepper.close() };
  }
  const precision = storedPrecision(options.precision);
  switch (what) {
    case 'sample': {
      const textTokens = options.realTextTokens;
      return openSample({ model: '0.6b', layers, size, steps: 20, textTokens, precision: options.precision });
    }
    case 'encode':
    case 'decode':
      return openVae({ size, half: what, precision });
    case 'text':
      return openText({ layers, precision: options.precision === 'int8' ? 'int8' : precision, tokens });
  }
}

/** What files hold; the autoencoder has no 8 bits, and only the transformer has 4. */
function storedPrecision(precision: StepOptions['precision']): Storage {
  return precision === 'int8' || precision === 'nf4' ? 'bf16' : precision;
}

async function peerArguments(options: VersusOptions): Promise<readonly string[]> {
  const { what, layers, size } = options;
  if (what === 'step') return ['peer.py', ...stepFlags(options)];
  const dtype = storage[storedPrecision(options.precision)];
  const model =
    what === 'sample'
      ? ({ kind: 'transformer', ...sanaSizes['0.6b'], layers, dtype } as const)
      : what === 'text'
        ? ({ kind: 'text', layers, dtype } as const)
        : ({ kind: 'vae', dtype } as const);
  const tokens = what === 'text' ? options.tokens : options.realTextTokens;
  const flags = { size, tokens, padded: options.padded };
  return ['peer_parts.py', what, await randomModel(model), ...flagsOf(flags)];
}

function stepFlags(options: StepOptions): readonly string[] {
  return flagsOf({
    layers: options.layers,
    width: options.width,
    heads: options.heads,
    'cross-heads': options.crossHeads,
    latent: options.latent,
    'text-tokens': options.textTokens,
    'real-text-tokens': options.realTextTokens,
    rank: options.rank,
    targets: options.targets,
    batch: options.batch,
    checkpointing: options.checkpointing,
    threads: options.threads,
  });
}

function flagsOf(options: Readonly<Record<string, string | number>>): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** A Python script that runs once for every precision that it is told, and says how long it took. */
function openPeer(
  venv: string,
  [script = '', ...flags]: readonly string[],
): { run(precision: string): Promise<number>; close(): Promise<void> } {
  const python = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const child = spawn(python, [join(import.meta.dirname, script), ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = lines.next();
  return {
    async run(precision) {
      if ((await ready).done) throw new Error(`${script} ended before it was ready; see its message above`);
      child.stdin.write(`${precision}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${script} ended; see its message above`);
      const { seconds }: { seconds: number } = JSON.parse(value);
      return seconds;
    },
    async close() {
      child.stdin.end();
    },
  };
}
