import { Option, type Command } from 'commander';

interface TrainOptions {
  readonly set: readonly string[];
  readonly resume?: string;
  readonly ui?: 'auto' | 'ink' | 'plain' | 'json';
}

/** `sana-train CONFIG`: trains. */
export function define(command: Command): void {
  command
    .argument('<config>', 'a .yaml file; configs/ has examples')
    .option(
      '-s, --set <key=value>',
      'overrides an option, such as train.max_train_steps=200; repeatable',
      (text, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--resume <how>', "auto (go on from the newest checkpoint), never, or a checkpoint's folder")
    .addOption(
      new Option(
        '--ui <name>',
        'how the run is shown: ink (a dashboard, the default in a terminal), plain lines, or json for programs',
      ).choices(['auto', 'ink', 'plain', 'json']),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ sana-train configs/dog.yaml
  $ sana-train configs/dog.yaml --set train.max_train_steps=200 --set run_dir=runs/short
  $ sana-train configs/dog.yaml --resume never --ui json

Ctrl-C finishes the step, saves and exits with 130; the same command then goes on. A second Ctrl-C stops at once.`,
    )
    .action(async (path: string, options: TrainOptions) => {
      const { runTrain } = await import('../run-train.ts');
      await runTrain(path, options);
    });
}
