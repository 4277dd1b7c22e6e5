import type { Command } from 'commander';

import { addStepOptions, openStepper, type StepOptions } from './step.ts';

const INTERVAL = 10; // ms

/** Adds `bench event-loop`: what share of a 10 ms timer's ticks come while steps run. A dashboard needs most of them. */
export function addEventLoopCommand(program: Command): void {
  addStepOptions(program.command('event-loop').description('share of a 10 ms timer that ticks while steps run'))
    .option('--steps <n>', 'steps to watch', Number, 4)
    .action(async (options: StepOptions & { readonly steps: number }) => {
      const idle = await shareOfTicks(async () => {
        await new Promise((resolve) => setTimeout(resolve, 2000));
      });
      const stepper = await openStepper(options);
      await stepper.step();
      const busy = await shareOfTicks(async () => {
        for (let i = 0; i < options.steps; i++) await stepper.step();
      });
      await stepper.close();
      console.log(JSON.stringify({ idle, busy }));
    });
}

/** Ticks of an interval timer while `work` runs, and the longest time between two, in milliseconds. */
async function shareOfTicks(
  work: () => Promise<void>,
): Promise<{ readonly share: number; readonly longestMs: number }> {
  const start = performance.now();
  let [ticks, last, longest] = [0, start, 0];
  const timer = setInterval(() => {
    const now = performance.now();
    ticks++;
    longest = Math.max(longest, now - last);
    last = now;
  }, INTERVAL);
  await work();
  clearInterval(timer);
  const share = ticks / ((performance.now() - start) / INTERVAL);
  return { share: Number(share.toFixed(3)), longestMs: Math.round(longest) };
}
