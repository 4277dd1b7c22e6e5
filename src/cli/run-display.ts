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
  if (ui === 'ink') {
    const { startDashboard } = await import('../dashboard/start-dashboard.tsx');
    const dashboard = startDashboard({ controls, colors: colorDepth(process.env) });
    let isOpen = true;
    // The terminal was closed: the run goes on, and events.jsonl has it all.
    const end = (): void => {
      isOpen = false;
      dashboard.close();
    };
    process.on('SIGHUP', end);
    return {
      show: (event) => dashboard.apply(event),
      say: (message) => dashboard.apply({ kind: 'log', message, time: Date.now() }),
      close() {
        const lines = dashboard.close();
        process.off('SIGHUP', end);
        if (isOpen) for (const line of lines.slice(-lastLines)) process.stdout.write(`${line}\n`);
        isOpen = false;
      },
    };
  }
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
