import { type Command, Option } from 'commander';

import type { Ui } from '../choose-ui.ts';

/** `sana-train attach RUN`: the dashboard on a run of another process, or on one that is over. */
export function define(command: Command): void {
  command
    .argument('<run>', "a run's folder")
    .addOption(
      new Option('--ui <name>', 'how it is shown: ink (a dashboard), plain lines, or json').choices([
        'auto',
        'ink',
        'plain',
        'json',
      ]),
    )
    .addHelpText(
      'after',
      `
Its keys act on the run (? lists them); q leaves it alone. Without a terminal it prints lines until the run ends.

Examples:
  $ sana-train attach runs/dog
  $ sana-train attach runs/dog --ui plain`,
    )
    .action(async (run: string, { ui = 'auto' }: { readonly ui?: 'auto' | Ui }) => {
      const { runAttach } = await import('../run-attach.ts');
      await runAttach(run, ui);
    });
}
