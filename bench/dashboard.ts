import { PassThrough, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import type { Command } from 'commander';

import { startDashboard, type TerminalTarget } from '../src/dashboard/start-dashboard.tsx';
import type { TimedEvent } from '../src/events.ts';

const noop = (): void => undefined;
const controls = {
  sample: noop,
  prompt: noop,
  checkpoint: noop,
  pause: noop,
  stop: noop,
  leave: noop,
  isOwn: true,
} as const;

const sizes = [
  [80, 24],
  [200, 60],
] as const;

/** A terminal that takes everything, and says of itself that it is a plain one. */
function terminal(columns: number, rows: number, onWrite: (text: string) => void) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: noop, ref: noop, unref: noop });
  const stdout = Object.assign(
    new Writable({
      decodeStrings: false,
      write(text: string, _, done) {
        onWrite(text);
        if (text.includes('\u001b[c')) stdin.write('\u001b[?62c');
        done();
      },
    }),
    { columns, rows },
  );
  // The parts of a terminal's streams that the dashboard uses.
  return { stdin: stdin as unknown as NodeJS.ReadStream, stdout: stdout as unknown as TerminalTarget };
}

const started = Date.now();
const runEvent = (maxTrainSteps: number): TimedEvent => ({
  kind: 'run',
  name: 'bench',
  runDir: 'bench',
  model: 'none',
  firstStep: 0,
  maxTrainSteps,
  config: {},
  time: started,
});
/** A step's event: a loss that falls and jumps about. */
const stepEvent = (step: number, maxTrainSteps: number): TimedEvent => ({
  kind: 'step',
  step,
  maxTrainSteps,
  loss: 0.4 + Math.exp(-step / 200) + 0.3 * Math.sin(step * 12.9898),
  gradNorm: 0.2 + 0.1 * Math.cos(step),
  learningRate: 1e-4 * Math.min(1, step / 100),
  seconds: { data: 0.01, compute: 0.9 + 0.1 * Math.sin(step), update: 0.01 },
  examples: [],
  memoryMiB: 4000 + (step % 100),
  time: started + step * 1000,
});

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Milliseconds of processor time that a frame takes, the middle one of many, after so many steps. */
async function frameCost(columns: number, rows: number, steps: number, frames: number): Promise<number> {
  const { stdin, stdout } = terminal(columns, rows, noop);
  const dashboard = await startDashboard({ controls, colors: 'full', stdin, stdout, env: {} });
  dashboard.apply(runEvent(steps + frames));
  for (let step = 1; step <= steps; step++) dashboard.apply(stepEvent(step, steps + frames));
  const costs: number[] = [];
  for (let i = 1; i <= frames; i++) {
    dashboard.apply(stepEvent(steps + i, steps + frames));
    const before = process.cpuUsage();
    dashboard.draw();
    costs.push(cpuMs(before));
  }
  dashboard.close();
  return costs.sort((a, b) => a - b)[Math.floor(frames / 2)] ?? Number.NaN;
}

/** Redraws a second, the longest time between two, and the dashboard's part of the machine, while threads are busy. */
async function whileBusy(columns: number, rows: number, seconds: number, threads: number) {
  const times: number[] = [];
  const { stdin, stdout } = terminal(columns, rows, () => times.push(performance.now()));
  const dashboard = await startDashboard({ controls, colors: 'full', stdin, stdout, env: {} });
  dashboard.apply(runEvent(100));
  dashboard.apply({ ...stepEvent(1, 100), time: Date.now() });
  await sleep(2000);
  const code = `const end = Date.now() + ${seconds * 1000}; while (Date.now() < end);`;
  times.length = 0;
  const start = performance.now();
  const idle = process.cpuUsage();
  const workers = Array.from({ length: threads }, () => new Worker(code, { eval: true }));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  const wall = (performance.now() - start) / 1000;
  const all = cpuMs(idle) / 1000;
  dashboard.close();
  const gaps = times.map((time, i) => time - (times[i - 1] ?? start));
  return {
    redrawsPerSecond: Number((times.length / wall).toFixed(1)),
    longestGapMs: Math.round(Math.max(...gaps)),
    processorSeconds: Number(all.toFixed(1)),
    wallSeconds: Number(wall.toFixed(1)),
  };
}

/** Memory while a day of events is shown, a step a second: a frame every so many steps. */
async function dayLong(columns: number, rows: number, every: number, tell: (memory: object) => unknown): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const { stdin, stdout } = terminal(columns, rows, noop);
  const dashboard = await startDashboard({ controls, colors: 'full', stdin, stdout, env: {} });
  const steps = 86_400;
  dashboard.apply(runEvent(steps));
  for (let step = 1; step <= steps; step++) {
    dashboard.apply(stepEvent(step, steps));
    if (step % 100 === 0)
      for (const index of [0, 1]) {
        const path = `samples/${index}/${step}.png`;
        dashboard.apply({ kind: 'sample', step, index, prompt: 'a dog', seed: 0, path, seconds: 1, time: started });
      }
    if (step % every === 0) dashboard.draw();
    if (step % (steps / 8) === 0) {
      await sleep(100);
      if (typeof collect === 'function') collect();
      const { rss, heapUsed } = process.memoryUsage();
      tell({ step, rssMiB: Math.round(rss / 2 ** 20), heapMiB: Number((heapUsed / 2 ** 20).toFixed(1)) });
    }
  }
  dashboard.close();
}

interface Options {
  readonly parts: readonly string[];
  readonly seconds: number;
  readonly threads: number;
  readonly every: number;
}

/** Adds `bench dashboard`: what its frames cost, how often it redraws while threads compute, and its memory over a day. */
export function addDashboardCommand(program: Command): void {
  program
    .command('dashboard')
    .description("a frame's cost, redraws while all cores compute, memory over a day of events")
    .option('--parts <names>', 'which of them, with commas', (text) => text.split(','), ['frames', 'busy', 'day'])
    .option('--seconds <n>', 'length of the step during which redraws are counted', Number, 60)
    .option('--threads <n>', 'threads that compute in it', Number, 2)
    .option('--every <n>', 'steps for each frame of the day', Number, 8)
    .action(async ({ parts, seconds, threads, every }: Options) => {
      process.env['NODE_ENV'] = 'production';
      // Not by console.log, which an open dashboard takes for its log.
      const tell = (what: object): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);
      for (const [columns, rows] of parts.includes('frames') ? sizes : []) {
        await frameCost(columns, rows, 100, 100);
        for (const steps of [100, 100_000]) {
          const ms = await frameCost(columns, rows, steps, 100);
          tell({ columns, rows, steps, cpuMsPerFrame: Number(ms.toFixed(1)) });
        }
      }
      for (const [columns, rows] of parts.includes('busy') ? sizes : []) {
        tell({ columns, rows, threads, ...(await whileBusy(columns, rows, seconds, threads)) });
      }
      if (parts.includes('day')) await dayLong(200, 60, every, tell);
    });
}
