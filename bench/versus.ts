import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Command } from 'commander';

import { addStepOptions, openStepper, type StepOptions } from './step.ts';

/** A side of the comparison that runs one step when it is asked to. */
interface Side {
  readonly name: string;
  step(): Promise<number>;
  close(): Promise<void>;
}

/** Adds `bench versus VENV`: this project and PyTorch take turns, step by step, on the same two cores. */
export function addVersusCommand(program: Command): void {
  addStepOptions(program.command('versus').description('a training step here and with diffusers, alternated'))
    .argument('<venv>', 'a Python environment with torch, diffusers and peft')
    .option('--rounds <n>', 'steps of each side', Number, 8)
    .action(async (venv: string, options: StepOptions & { readonly rounds: number }) => {
      const [ours, peer] = [await openStepper(options), openPeer(venv, options)];
      await ours.step();
      const sides: readonly Side[] = [
        { name: `sana-train ${options.precision}`, ...ours },
        { name: 'PyTorch fp32', step: () => peer.step('fp32'), close: peer.close },
        { name: 'PyTorch bf16', step: () => peer.step('bf16'), close: async () => undefined },
      ];
      const seconds = sides.map((): number[] => []);
      for (let round = 0; round < options.rounds; round++) {
        for (const [i, side] of sides.entries()) seconds[i]?.push(await side.step());
      }
      for (const side of sides) await side.close();
      const fastest = Math.min(...(seconds[0] ?? []));
      console.log(
        '| side | minimum s | median s | maximum s | ours / this, by minimum |\n| --- | --- | --- | --- | --- |',
      );
      for (const [i, { name }] of sides.entries()) {
        const sorted = (seconds[i] ?? []).toSorted((a, b) => a - b);
        const [minimum = Number.NaN, median = Number.NaN, maximum = Number.NaN] = [
          sorted[0],
          sorted[sorted.length >> 1],
          sorted.at(-1),
        ];
        console.log(
          `| ${name} | ${[minimum, median, maximum, fastest / minimum].map((value) => value.toFixed(3)).join(' | ')} |`,
        );
      }
    });
}

function openPeer(
  venv: string,
  options: StepOptions,
): { step(precision: string): Promise<number>; close(): Promise<void> } {
  const python = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const flags = Object.entries({
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
  }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [join(import.meta.dirname, 'peer.py'), ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = lines.next();
  return {
    async step(precision) {
      if ((await ready).done) throw new Error('peer.py ended before it was ready; see its message above');
      child.stdin.write(`${precision}\n`);
      const { value } = await lines.next();
      const { seconds }: { seconds: number } = JSON.parse(String(value));
      return seconds;
    },
    async close() {
      child.stdin.end();
    },
  };
}
