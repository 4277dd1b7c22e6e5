import { availableParallelism } from 'node:os';

import { render } from 'ink';

import type { TimedEvent } from '../events.ts';
import { createPlainLog } from '../log/plain-log.ts';
import { Dashboard } from './dashboard.tsx';
import { LookContext } from './look.ts';
import { type ColorDepth, loadPicture } from './picture-rows.ts';
import type { RunControls } from './run-controls.ts';
import { createRunView } from './run-view.ts';

/** A dashboard on a terminal. */
export interface RunningDashboard {
  apply(event: TimedEvent): void;
  /** Gives the terminal back as it was; resolves with the last lines of the log. */
  close(): readonly string[];
}

/** Frames a second at most. Keys are answered at once all the same. */
const framesPerSecond = 10;
/** The part of the machine that frames may take: large terminals are drawn less often where that takes long. */
const share = 0.02 * availableParallelism();
/** The quickest of so many frames is what one costs; the others waited for the engine's threads. */
const measuredFrames = 8;
/** Pictures that are kept as text: the strip and the large one, of some steps back and forth. */
const keptPictures = 64;

const screen = { enter: '\u001b[?1049h\u001b[H', leave: '\u001b[?1049l', clear: '\u001b[2J\u001b[H' } as const;

/**
 * Shows a run on a terminal until it is closed. It draws when keys were pressed or the terminal was resized, when events
 * came, and every few seconds for its clock, as often as {@link framesPerSecond} and {@link share} allow.
 */
export function startDashboard({
  controls,
  colors,
  stdin = process.stdin,
  stdout = process.stdout,
  now = Date.now,
}: {
  readonly controls: RunControls;
  readonly colors: ColorDepth;
  readonly stdin?: NodeJS.ReadStream;
  readonly stdout?: NodeJS.WriteStream;
  readonly now?: () => number;
}): RunningDashboard {
  const run = createRunView(createPlainLog(Number.MAX_SAFE_INTEGER));
  const pictures = new Map<string, Promise<readonly string[] | undefined>>();
  const look = {
    colors,
    loadPicture(path: string, columns: number, rows: number): Promise<readonly string[] | undefined> {
      const key = `${columns} ${rows} ${path}`;
      const loaded = pictures.get(key) ?? loadPicture(path, columns, rows, colors);
      // Last in the map is what was asked for last.
      pictures.delete(key);
      pictures.set(key, loaded);
      for (const oldest of pictures.keys()) if (pictures.size > keptPictures) pictures.delete(oldest);
      return loaded;
    },
  };
  const frame = () => (
    <LookContext value={look}>
      <Dashboard
        view={run.view}
        columns={stdout.columns || 80}
        rows={(stdout.rows || 24) - 1}
        now={now()}
        controls={controls}
        onReadWarnings={() => {
          run.readWarnings();
          draw();
        }}
      />
    </LookContext>
  );

  let isStale = false;
  let drawn = now();
  const costs: number[] = [];
  const leave = (): void => {
    stdout.write(screen.leave);
  };
  stdout.write(screen.enter);
  process.once('exit', leave);
  const instance = render(frame(), { stdin, stdout, exitOnCtrlC: false, maxFps: framesPerSecond });
  const draw = (): void => {
    isStale = false;
    const start = performance.now();
    instance.rerender(frame());
    costs.push(performance.now() - start);
    if (costs.length > measuredFrames) costs.shift();
    drawn = now();
  };
  const drawWhenDue = (): void => {
    const pause = Math.max(isStale ? 0 : 1000, Math.min(...costs) / share);
    if (costs.length === 0 || now() - drawn >= pause) draw();
  };
  const timer = setInterval(drawWhenDue, 1000 / framesPerSecond);
  const resize = (): void => {
    // What a terminal makes of old lines when its width changes is anybody's guess: away with them.
    instance.clear();
    stdout.write(screen.clear);
    draw();
  };
  stdout.on('resize', resize);

  let isOpen = true;
  return {
    apply(event) {
      run.apply(event);
      isStale = true;
    },
    close() {
      if (isOpen) {
        isOpen = false;
        clearInterval(timer);
        stdout.off('resize', resize);
        instance.unmount();
        process.off('exit', leave);
        leave();
      }
      return run.view.log;
    },
  };
}
