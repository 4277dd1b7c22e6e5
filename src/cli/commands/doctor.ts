import type { Command } from 'commander';

import type { DoctorOptions } from '../run-doctor.ts';

/** `sana-train doctor`: what this machine has, and how fast each engine is on it. */
export function define(command: Command): void {
  command
    .option('--json', 'print JSON for programs')
    .addHelpText(
      'after',
      `
Every engine multiplies matrices in a process of its own, so one that crashes is named and nothing else happens.
Exits with 1 when none works.

Examples:
  $ sana-train doctor
  $ sana-train doctor --json`,
    )
    .action(async (options: DoctorOptions) => {
      const { runDoctor } = await import('../run-doctor.ts');
      await runDoctor(options);
    });
}
