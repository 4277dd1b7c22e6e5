import type { Command } from 'commander';

import type { RunCheckOptions } from '../run-check.ts';

/** `sana-train check CONFIG`: everything that a run needs, looked at before it starts. */
export function define(command: Command): void {
  command
    .argument('<config>', 'a .yaml file; configs/ has examples')
    .option(
      '-s, --set <key=value>',
      'overrides an option, as in training; repeatable',
      (text, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--resume <how>', "auto, never, or a checkpoint's folder, as in training")
    .option('--all', 'list remarks that need no attention too, and every caption that is too long')
    .option('--json', 'print JSON for programs')
    .addHelpText(
      'after',
      `
Nothing is trained, and of a model that is not downloaded yet only the small files are.
Exits with 1 when the run could not start.

Examples:
  $ sana-train check configs/dog.yaml
  $ sana-train check configs/dog.yaml --set dataset.resolution=256
  $ sana-train check configs/dog.yaml --json`,
    )
    .action(async (path: string, options: RunCheckOptions) => {
      const { runCheck } = await import('../run-check.ts');
      await runCheck(path, options);
    });
}
