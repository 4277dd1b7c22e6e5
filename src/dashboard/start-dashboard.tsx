import { Console } from 'node:console';
import { Writable } from 'node:stream';

import ansiEscapes from 'ansi-escapes';
import { render } from 'ink';

import type { TimedEvent } from '../events.ts';
import { createPlainLog } from '../log/plain-log.ts';
import { clockLine, clockWidth, Dashboard } from './dashboard.tsx';
import { LookContext } from './look.ts';
import { createMarks } from './marks.ts';
import type { ColorDepth } from './picture-rows.ts';
import type { RunControls } from './run-controls.ts';
import { createRunView } from './run-view.ts';
import { createScreen } from './screen.ts';
import { styledLine } from './styled-line.ts';
import { choosePictures } from './terminal-answers.ts';
import { createTerminalInput, type TerminalSource } from './terminal-input.ts';

/** A dashboard on a terminal. */
export interface RunningDashboard {
  apply(event: TimedEvent): void;
  /** Draws at once, and not when it is due. */
  draw(): void;
  /** Gives the terminal back as it was; resolves with the last lines of the log. */
  close(): readonly string[];
}

/** What is written to: the part of Node's stdout that is used. */
export type TerminalTarget = Pick<NodeJS.WriteStream, 'columns' | 'rows' | 'write' | 'on' | 'off' | 'writableLength'>;

/** Frames a second at most. Keys are answered at once all the same. */
const framesPerSecond = 10;
/**
 * The part of the time that frames may take: large terminals are drawn less often where that takes long. Not more on more
 * cores: each of them has its part of every product, and a frame holds up them all.
 */
const share = 0.01;
/** The quickest of so many frames is what one costs; the others waited for the engine's threads. */
const measuredFrames = 8;
/** Milliseconds between two frames at most. */
const longestPause = 5000;
/** How long a terminal may take to say what it can, in milliseconds: around the world and back, on a busy machine. */
const patience = 1000;
/** Where a terminal does not tell a character's size: what is usual, for the sharpness of its pictures. */
const usualCell = { width: 10, height: 20 };

const { enterAlternativeScreen, exitAlternativeScreen, cursorHide, cursorShow } = ansiEscapes;
/** Lines are cut and not wrapped (?7), and pasted text is marked as such (?2004). */
const enter = `${enterAlternativeScreen}${cursorHide}\u001b[?7l\u001b[?2004h`;
const leave = `\u001b[?2004l\u001b[?7h${cursorShow}${exitAlternativeScreen}`;

/**
 * Shows a run on a terminal until it is closed. It draws when keys were pressed or the terminal was resized, when events
 * came, and every second for its clock, as often as {@link framesPerSecond} and {@link share} allow.
 */
export async function startDashboard({
  controls,
  colors,
  env = process.env,
  stdin = process.stdin,
  stdout = process.stdout,
  now = Date.now,
}: {
  readonly controls: RunControls;
  readonly colors: ColorDepth;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: TerminalSource;
  readonly stdout?: TerminalTarget;
  readonly now?: () => number;
}): Promise<RunningDashboard> {
  const run = createRunView(createPlainLog(Number.MAX_SAFE_INTEGER));
  let isOpen = true;
  const write = (text: string): void => {
    if (isOpen && text !== '') stdout.write(text);
  };
  const giveBack = (): void => write(leave);
  write(enter);
  process.once('exit', giveBack);
  const input = createTerminalInput(stdin);
  const answers = await input.ask(write, patience);
  const terminal = {
    protocol: colors === 'none' ? 'blocks' : choosePictures(env, answers),
    cell: answers.cell ?? usualCell,
    colors,
  } as const;
  // Whatever a terminal made of questions that it does not know.
  write(ansiEscapes.eraseScreen);
  const marks = createMarks(terminal, () => screen.again(), write);
  const screen = createScreen({ write, columns: () => stdout.columns || 80, find: marks.find });
  const look = {
    colors,
    // Half blocks are twice as high as wide, whatever the font makes of them.
    cellRatio: terminal.protocol === 'blocks' ? 2 : terminal.cell.height / terminal.cell.width,
    marks,
  };

  // Ink gives its frames whole (`debug`), and `screen` puts them on the terminal.
  const frames = Object.assign(
    new Writable({
      decodeStrings: false,
      write(frame: string, _, done) {
        if (frame !== '' && isOpen) screen.show(frame);
        done();
      },
    }),
    { columns: 80, rows: 24 },
  );
  const frame = () => {
    const columns = stdout.columns || 80;
    // Ink lays out by its stream's width.
    frames.columns = columns;
    return (
      <LookContext value={look}>
        <Dashboard
          view={run.view}
          columns={columns}
          rows={stdout.rows || 24}
          now={now()}
          controls={controls}
          onReadWarnings={() => {
            run.readWarnings();
            draw();
          }}
          onRedraw={() => screen.again('all')}
        />
      </LookContext>
    );
  };

  let isStale = false;
  let drawn = now();
  const costs: number[] = [];
  const instance = render(frame(), {
    // The part of a terminal's stream that Ink uses.
    stdout: frames as unknown as NodeJS.WriteStream,
    stdin: input.keys,
    exitOnCtrlC: false,
    patchConsole: false,
    // Who asked for the dashboard all the same gets it: lines for a screen reader are the plain log's.
    isScreenReaderEnabled: false,
    debug: true,
  });
  const draw = (): void => {
    isStale = false;
    const start = performance.now();
    instance.rerender(frame());
    costs.push(performance.now() - start);
    if (costs.length > measuredFrames) costs.shift();
    drawn = now();
  };
  const drawWhenDue = (): void => {
    // A terminal that does not take what it was given gets no more until it does.
    if (stdout.writableLength > 0) return;
    // A machine that is busy with other work gives a frame little: then there are few of them, but some.
    // The first frames are slow, and say nothing of what later ones cost.
    const rest = costs.length < measuredFrames ? 0 : Math.min(longestPause, Math.min(...costs) / share);
    if (costs.length === 0 || now() - drawn >= Math.max(isStale ? 0 : 1000, rest)) draw();
    else {
      // The clock alone costs next to nothing.
      marks.text('clock', [styledLine(clockLine(run.view, now()), clockWidth, colors)], clockWidth);
      screen.again();
    }
  };
  const timer = setInterval(drawWhenDue, 1000 / framesPerSecond);
  const resize = (): void => {
    draw();
    // What a terminal makes of old lines when its width changes is anybody's guess: away with them.
    screen.again('all');
  };
  stdout.on('resize', resize);

  const apply = (event: TimedEvent): void => {
    run.apply(event);
    isStale = true;
  };
  // What libraries print would go across the frame.
  const { log, info, warn, error, debug } = globalThis.console;
  const own = { log, info, warn, error, debug };
  const said = new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      for (const message of text.trimEnd().split('\n')) apply({ kind: 'log', message, time: now() });
      done();
    },
  });
  const quiet = new Console(said);
  for (const name of Object.keys(own)) Reflect.set(globalThis.console, name, Reflect.get(quiet, name));

  return {
    apply,
    draw,
    close() {
      if (isOpen) {
        clearInterval(timer);
        stdout.off('resize', resize);
        Object.assign(globalThis.console, own);
        instance.unmount();
        screen.close();
        input.close();
        process.off('exit', giveBack);
        giveBack();
        isOpen = false;
      }
      return run.view.log;
    },
  };
}
