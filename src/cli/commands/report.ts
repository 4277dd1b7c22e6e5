import type { Command } from 'commander';

/** `sana-train report RUN [RUN ...]`: a page about runs. */
export function define(command: Command): void {
  command
    .argument('<run...>', 'folders of runs; several are compared side by side')
    .option('-o, --out <file>', "the page (default: report.html in the run's folder, comparison.html for several)")
    .addHelpText(
      'after',
      `
The page is one file that needs no network: samples by step, curves, pictures' losses, settings, timings, adapters.

Examples:
  $ sana-train report runs/dog
  $ sana-train report runs/dog runs/dog-rank-32 --out comparison.html`,
    )
    .action(async (runs: readonly string[], { out }: { readonly out?: string }) => {
      const { join } = await import('node:path');
      const { writeReport } = await import('../../report/write-report.ts');
      const path = out ?? join(runs[0] ?? '.', runs.length > 1 ? 'comparison.html' : 'report.html');
      await writeReport(runs, path);
      process.stdout.write(`${path}\n`);
    });
}
