import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { startDashboard, type TerminalTarget } from '../../../src/dashboard/start-dashboard.tsx';
import type { TimedEvent } from '../../../src/events.ts';

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
const run: TimedEvent = {
  kind: 'run',
  name: 'dog',
  runDir: 'run',
  model: 'sana-pico',
  firstStep: 0,
  maxTrainSteps: 100,
  config: {},
  time: 0,
};

/** A terminal of 80 by 24 that answers at once and keeps what it was given. */
function terminal(answer = '\u001b[?62c') {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: vi.fn<(on: boolean) => void>(),
    ref: noop,
    unref: noop,
  });
  let written = '';
  const stdout = Object.assign(new EventEmitter(), {
    columns: 80,
    rows: 24,
    writableLength: 0,
    write(text: string): boolean {
      written += text;
      if (text.includes('\u001b[c')) stdin.write(answer);
      return true;
    },
  });
  return {
    stdin,
    stdout,
    taken(): string {
      const text = written;
      written = '';
      return text;
    },
  };
}

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const dashboard of open.splice(0)) dashboard.close();
});

async function start({ stdin, stdout }: ReturnType<typeof terminal>) {
  const dashboard = await startDashboard({
    controls,
    colors: 'full',
    env: {},
    // The parts of a terminal's streams that are used.
    stdin: stdin as unknown as NodeJS.ReadStream,
    stdout: stdout as unknown as TerminalTarget,
  });
  open.push(dashboard);
  return dashboard;
}

describe('startDashboard', () => {
  it('takes the terminal over and gives it back as it was', async () => {
    const screen = terminal();
    const dashboard = await start(screen);
    expect(screen.taken()).toMatch(/^\S*\[\?1049h\S*\[\?25l\S*\[\?7l\S*\[\?2004h/);
    expect(screen.stdin.setRawMode).toHaveBeenLastCalledWith(true);
    dashboard.close();
    dashboard.close();
    const left = screen.taken();
    expect(left.split('\u001b[?1049l')).toHaveLength(2);
    expect(left.endsWith('\u001b[?2004l\u001b[?7h\u001b[?25h\u001b[?1049l')).toBe(true);
    expect(screen.stdin.setRawMode).toHaveBeenLastCalledWith(false);
    // Nothing comes after it.
    dashboard.apply(run);
    dashboard.draw();
    expect(screen.taken()).toBe('');
  });

  it('draws what changed alone, and all of it when the terminal got another size', async () => {
    const screen = terminal();
    const dashboard = await start(screen);
    dashboard.apply(run);
    dashboard.draw();
    expect(screen.taken()).toContain('sana-pico');
    dashboard.draw();
    expect(screen.taken()).not.toContain('sana-pico');
    screen.stdout.columns = 120;
    screen.stdout.rows = 40;
    screen.stdout.emit('resize');
    const drawn = screen.taken();
    expect(drawn).toContain('\u001b[2J');
    expect(drawn.slice(drawn.lastIndexOf('\u001b[2J'))).toContain('sana-pico');
    expect(drawn).toContain('\u001b[40;1H');
  });

  it('shows that the run lives while a step takes long', async () => {
    const screen = terminal();
    const dashboard = await start(screen);
    dashboard.apply({ ...run, time: Date.now() });
    const clocks = new Set<string>();
    await vi.waitFor(
      () => {
        for (const [clock] of screen.taken().matchAll(/[\d.]+ s [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/g)) clocks.add(clock);
        expect(clocks.size).toBeGreaterThan(4);
      },
      { timeout: 10_000, interval: 50 },
    );
  });

  it('gives nothing to a terminal that takes nothing', async () => {
    const screen = terminal();
    const dashboard = await start(screen);
    dashboard.apply(run);
    screen.taken();
    screen.stdout.writableLength = 1;
    await new Promise((resolve) => {
      setTimeout(resolve, 400);
    });
    expect(screen.taken()).toBe('');
    screen.stdout.writableLength = 0;
    await vi.waitFor(() => expect(screen.taken()).toContain('sana-pico'), { timeout: 10_000 });
  });

  it('takes what libraries print into its log', async () => {
    // oxlint-disable no-console
    const { log } = console;
    const dashboard = await start(terminal());
    console.log('loading\nmore');
    expect(dashboard.close()).toEqual(['loading', 'more']);
    expect(console.log).toBe(log);
  });
});
