import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { UserError } from '../errors.ts';
import type { TimedEvent } from '../events.ts';
import { errorCode, fileError } from '../io/file-error.ts';
import { isRecord } from '../io/json.ts';
import { whatIsLeft } from './checkpoint.ts';

/** The file of a run's events: one JSON object a line, appended as they happen. */
export const eventsFile = 'events.jsonl';

/** Appends events to a run's record. */
export interface EventLog {
  append(event: TimedEvent): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a run's record for appending. A last line that a crash cut short is ended, so that the next stands alone.
 * @throws UserError when it cannot be written
 */
export async function openEventLog(runDir: string): Promise<EventLog> {
  const path = join(runDir, eventsFile);
  try {
    const handle = await open(path, 'a+');
    const { size } = await handle.stat();
    if (size > 0) {
      const last = Buffer.alloc(1);
      await handle.read(last, 0, 1, size - 1);
      if (last.toString() !== '\n') await handle.appendFile('\n');
    }
    return {
      async append(event) {
        try {
          await handle.appendFile(`${JSON.stringify(event)}\n`);
        } catch (error) {
          const told = fileError(error, 'write', path);
          throw told instanceof UserError
            ? new UserError(`${told.message} ${await whatIsLeft(runDir)}`, { cause: error })
            : told;
        }
      },
      close: () => handle.close(),
    };
  } catch (error) {
    throw fileError(error, 'write', path);
  }
}

/** Reads a run's record; lines that are no event (cut short, say) are passed over. */
export async function* readEvents(runDir: string): AsyncGenerator<TimedEvent> {
  const stream = createReadStream(join(runDir, eventsFile), 'utf8');
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      const event = parseEvent(line);
      if (event) yield event;
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw fileError(error, 'read', join(runDir, eventsFile));
  }
}

/** An event of a line of events.jsonl; undefined where it is none. */
export function parseEvent(line: string): TimedEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // Written by this program: its kind says the rest.
    return isRecord(value) && typeof value['kind'] === 'string' && typeof value['time'] === 'number'
      ? (value as unknown as TimedEvent)
      : undefined;
  } catch {
    return undefined;
  }
}
