import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { UserError } from '../errors.ts';
import { followLines, type RunCommand, sendCommand } from '../run/control-file.ts';
import { eventsFile, parseEvent } from '../run/event-log.ts';
import { isUnderWay } from '../run/run-lock.ts';
import { chooseUi, type Ui } from './choose-ui.ts';
import { createRunDisplay } from './run-display.ts';
import { listenForStop } from './stop-signals.ts';

/** How often the record is looked at, in milliseconds: twice in what a person takes for at once. */
const interval = 200;

/**
 * Shows a run by its record, from its beginning and on as it grows. The dashboard stays until it is left; lines end with
 * the run.
 * @throws UserError when the folder holds no run
 */
export async function runAttach(runDir: string, asked: 'auto' | Ui): Promise<void> {
  const path = join(runDir, eventsFile);
  await access(path).catch(() => {
    throw new UserError(
      `${path} is missing, so ${runDir} is no run that could be shown; give the run_dir of a training run.`,
    );
  });
  const ui = chooseUi(asked, { isTerminal: process.stdin.isTTY && process.stdout.isTTY, env: process.env });
  const stop = listenForStop(() => undefined);
  const send = (command: RunCommand): void => {
    sendCommand(runDir, command, Date.now()).catch((error: unknown) => display.say(String(error)));
  };
  const display = await createRunDisplay(ui, 1, {
    sample: () => send('sample'),
    prompt: (prompt) => send({ prompt }),
    checkpoint: () => send('checkpoint'),
    pause: (on) => send(on ? 'pause' : 'go-on'),
    stop: () => send('stop'),
    leave: () => stop.request(),
    isOwn: false,
  });
  // Nobody watches any more.
  process.on('SIGHUP', () => stop.request());
  process.stdout.on('error', () => stop.request());
  const read = followLines(path);
  let isRunning = true;
  let hasEnded = false;
  try {
    while (!stop.signal.aborted) {
      // Asked before reading: what was written before the lock went is then read below.
      const wasRunning: boolean = isRunning;
      isRunning = wasRunning && (await isUnderWay(runDir));
      for (let lines = await read(); lines.length > 0 && !stop.signal.aborted; lines = await read()) {
        for (const line of lines) {
          const event = parseEvent(line);
          // The folder may be somewhere else than it was for the run itself.
          if (!event) continue;
          hasEnded = event.kind === 'end' || (hasEnded && event.kind !== 'run');
          display.show(event.kind === 'run' ? { ...event, runDir } : event);
        }
      }
      if (wasRunning && !isRunning && !hasEnded) {
        display.say(`no process is at work on ${runDir}; the command that it was started with goes on with it`);
      }
      if (ui !== 'ink' && !isRunning) break;
      await sleep(interval, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  } finally {
    display.close();
    stop.release();
  }
}
