#!/usr/bin/env node
import { Command } from 'commander';
import { reportError } from './report-error.ts';
import { version } from './version.ts';

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loads the command's arguments, options and action: only those of the command that was called. */
  readonly load: () => Promise<{ readonly define: (command: Command) => void }>;
}

const entries: readonly CommandEntry[] = [
  {
    name: 'train',
    summary: 'trains by a config; the word may be left out: sana-train CONFIG',
    load: () => import('./commands/train.ts'),
  },
  {
    name: 'init',
    summary: 'writes a config for a folder of pictures',
    load: () => import('./commands/init.ts'),
  },
  {
    name: 'caption',
    summary: 'captions pictures by several models and rates them; trains nothing',
    load: () => import('./commands/caption.ts'),
  },
  {
    name: 'check',
    summary: 'looks at everything that a run needs: pictures, captions, model, memory, time',
    load: () => import('./commands/check.ts'),
  },
  {
    name: 'sample',
    summary: 'pictures from a model and any adapters',
    load: () => import('./commands/sample.ts'),
  },
  {
    name: 'attach',
    summary: 'shows a run that is under way in another process, or over',
    load: () => import('./commands/attach.ts'),
  },
  {
    name: 'report',
    summary: 'a page about a run, or about several side by side',
    load: () => import('./commands/report.ts'),
  },
  {
    name: 'export',
    summary: 'an adapter as diffusers, ComfyUI, kohya or LyCORIS load it, or merged into its model',
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'merge',
    summary: 'several adapters into one',
    load: () => import('./commands/merge.ts'),
  },
  {
    name: 'extract',
    summary: 'what a tuned model learned, as an adapter of its base',
    load: () => import('./commands/extract.ts'),
  },
  {
    name: 'inspect',
    summary: 'what an adapter or checkpoint file holds',
    load: () => import('./commands/inspect.ts'),
  },
  {
    name: 'doctor',
    summary: 'what this machine has: engines and devices, each with a measured speed',
    load: () => import('./commands/doctor.ts'),
  },
];

async function createProgram(called: string | undefined): Promise<Command> {
  const program = new Command('sana-train')
    .description("Fine-tunes Sana, NVIDIA's linear diffusion transformer, on your own pictures.")
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('Run sana-train --help for the commands and their options.')
    .exitOverride();
  program.addHelpText(
    'after',
    `
Examples:
  $ sana-train configs/dog.yaml
  $ sana-train check configs/dog.yaml
  $ sana-train sample sana-pico --prompt "a pink rabbit cheering in a meadow"
  $ sana-train inspect adapter.safetensors
  $ sana-train inspect --help`,
  );
  for (const { name, summary, load } of entries) {
    // Only the called command knows its options: the others lend their name and summary to the help.
    const command = program.command(name).description(summary).exitOverride().copyInheritedSettings(program);
    if (called === name) (await load()).define(command);
  }
  return program;
}

/** Runs the command line `args`, without the two words for Node and the script. */
async function main(given: readonly string[]): Promise<void> {
  const isConfig = (word: string | undefined): boolean => word !== undefined && /\.ya?ml$/i.test(word);
  const args =
    given.some(isConfig) && isConfig(given.find((word) => !word.startsWith('-'))) ? ['train', ...given] : given;
  const words = args.filter((word) => !word.startsWith('-'));
  const program = await createProgram(words[0] === 'help' ? words[1] : words[0]);
  await program.parseAsync(args, { from: 'user' });
}

/** Ends the process when stderr has taken `text`: a worker thread may still be there to keep it alive. */
function exit(text: string, exitCode: number): void {
  process.exitCode = exitCode;
  process.stderr.write(text, () => {
    process.exit(exitCode);
  });
}

// Once: a second Ctrl-C ends the process at once, also while a worker thread is inside a long computation.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => exit('', 130));
// `sana-train inspect FILE | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') exit('', 0);
  else throw error;
});

main(process.argv.slice(2)).catch((error: unknown) => {
  const { text, exitCode } = reportError(error, version);
  exit(text, exitCode);
});
