import type { TimedEvent } from '../events.ts';
import { createPlainLog } from '../log/plain-log.ts';
import type { RunControls } from '../dashboard/run-controls.ts';
import { colorDepth, type Ui } from './choose-ui.ts';

/** What shows a run's events to a person or a program. */
export interface RunDisplay {
  show(event: TimedEvent): void;
  /** Something that is no event of the run. */
  say(text: string): void;
  /** Gives the terminal back. May be called twice. */
  close(): void;
}

/** Lines that a closed dashboard leaves on the terminal. */
const lastLines = 12;

/**
 * Makes the display of a run. The dashboard and what draws it are loaded only where they are used.
 * @param every `plain`: a line every so many steps
 */
export async function createRunDisplay(ui: Ui, every: number, controls: RunControls): Promise<RunDisplay> {
  // A pipe or terminal that is closed takes nothing any more; the run goes on, and events.jsonl has it all.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => undefined);
  if (ui === 'ink') {
    // React checks more, and takes three times as long, where nobody says that this is no development.
    process.env['NODE_ENV'] ??= 'production';
    const { startDashboard } = await import('../dashboard/start-dashboard.tsx');
    const dashboard = await startDashboard({ controls, colors: colorDepth(process.env) });
    let isOpen = true;
    const close = (): readonly string[] => {
      if (!isOpen) return [];
      isOpen = false;
      try {
        return dashboard.close();
      } catch {
        return []; // there is no terminal any more to be given back
      }
    };
    process.stdin.on('error', close);
    process.on('SIGHUP', close);
    return {
      show: (event) => dashboard.apply(event),
      say: (message) => dashboard.apply({ kind: 'log', message, time: Date.now() }),
      close() {
        for (const line of close().slice(-lastLines)) process.stdout.write(`${line}\n`);
      },
    };
  }
  process.on('SIGHUP', () => undefined);
  const lines = createPlainLog(every);
  return {
    show(event) {
      const line = ui === 'json' ? JSON.stringify(event) : lines(event);
      if (line !== undefined) process.stdout.write(`${line}\n`);
    },
    say: (text) => process.stderr.write(`${text}\n`),
    close: () => undefined,
  };
}
