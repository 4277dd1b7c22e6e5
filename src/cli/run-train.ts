import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { loadConfig } from '../config/load-config.ts';
import type { TimedEvent, TrainEvent } from '../events.ts';
import { openTensorboardLog, type TensorboardLog } from '../log/tensorboard.ts';
import { followCommands } from '../run/control-file.ts';
import { type EventLog, openEventLog } from '../run/event-log.ts';
import { writeReport } from '../report/write-report.ts';
import { trainRun } from '../run/train-run.ts';
import { UserError } from '../errors.ts';
import { chooseUi, type Ui } from './choose-ui.ts';
import { createRunControl } from './run-control.ts';
import { createRunDisplay } from './run-display.ts';
import { listenForStop } from './stop-signals.ts';
import { version } from './version.ts';

/** The options of `sana-train CONFIG`. */
export interface RunTrainOptions {
  readonly set: readonly string[];
  readonly resume?: string;
  readonly ui?: 'auto' | Ui;
}

/** Trains by a config, shows and records the run. Sets the exit code: 130 when it was stopped. */
export async function runTrain(path: string, options: RunTrainOptions): Promise<void> {
  const { config, name, warnings } = await loadConfig(path, { set: options.set });
  const ui = chooseUi(options.ui ?? config.log.ui, {
    isTerminal: process.stdin.isTTY && process.stdout.isTTY,
    env: process.env,
  });
  const display = await createRunDisplay(ui, config.log.every, {
    sample: () => control.command('sample'),
    prompt: (prompt) => control.command({ prompt }),
    checkpoint: () => control.command('checkpoint'),
    pause: (on) => control.command(on ? 'pause' : 'go-on'),
    stop: () => stop.request(),
    leave() {
      display.close();
      stop.request();
    },
    isOwn: true,
  });
  // The first Ctrl-C (or SIGTERM) lets the step finish; the second ends the process.
  const stop = listenForStop(() => display.say('stopping: the step is finished and saved; Ctrl-C again stops at once'));
  const control = createRunControl(stop, (isPaused) =>
    record(timed({ kind: 'log', message: isPaused ? 'paused' : 'goes on' })),
  );
  const unfollow = followCommands(config.run_dir, Date.now(), control.command);
  const { show } = display;

  let log: EventLog | undefined;
  let board: TensorboardLog | undefined;
  // A step's event is written while the next step is computed; the event after it waits for that, and tells if it failed.
  let written = Promise.resolve();
  const write = async (event: TimedEvent): Promise<void> => {
    if (event.kind === 'step') await setImmediate(); // by then the engine is at work
    await log?.append(event);
    await board?.append(event);
  };
  const record = async (event: TimedEvent): Promise<void> => {
    show(event);
    await written;
    written = written.then(() => write(event));
    if (event.kind === 'step') written.catch(() => undefined);
    else await written;
  };
  // The page tells how the run ended; what is shown ends with the run's end all the same.
  const reportRun = async (end: TimedEvent): Promise<void> => {
    await written;
    await log?.append(end);
    const path = 'report.html';
    try {
      await writeReport([config.run_dir], join(config.run_dir, path));
      await record(timed({ kind: 'export', format: 'report', path }));
    } catch (error) {
      // The adapter is there: a page that cannot be written does not make it a failed run.
      await record(timed({ kind: 'warning', message: error instanceof Error ? error.message : String(error) }));
    }
    show(end);
    await board?.append(end);
  };
  try {
    for (const message of warnings) await record(timed({ kind: 'warning', message }));
    const run = trainRun({
      config,
      name,
      version,
      resume: options.resume ?? config.train.resume_from_checkpoint,
      signal: stop.signal,
      control: control.ask,
    });
    for await (const event of run) {
      log ??= await openEventLog(config.run_dir);
      if (config.log.tensorboard) board ??= await openTensorboardLog(config.run_dir, Date.now());
      if (event.kind === 'end' && config.log.report) await reportRun(timed(event));
      else await record(timed(event));
      if (event.kind === 'end' && event.reason === 'stopped') process.exitCode = 130;
    }
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) {
      display.close();
      process.stderr.write('stopped before training; what was cached is kept\n');
      process.exitCode = 130;
      return;
    }
    const message = error instanceof UserError ? error.message : String(error);
    await log?.append(timed({ kind: 'end', reason: 'failed', step: 0, message })).catch(() => undefined);
    throw error;
  } finally {
    display.close();
    unfollow();
    stop.release();
    await written.catch(() => undefined);
    await log?.close();
    await board?.close();
  }
}

function timed(event: TrainEvent): TimedEvent {
  return { ...event, time: Date.now() };
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
