import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';

import { errorCode, fileError } from '../io/file-error.ts';
import { isRecord } from '../io/json.ts';

/** What a person may ask of a run: by a word, or a picture of a text. */
export type RunCommand = 'sample' | 'checkpoint' | 'pause' | 'go-on' | 'stop' | { readonly prompt: string };

const commands: readonly string[] = ['sample', 'checkpoint', 'pause', 'go-on', 'stop'] satisfies RunCommand[];

/** Characters of a prompt, at most: ten times what Sana reads. */
const longestPrompt = 5000;
/** Bytes that are read at once, so that a long record is taken in without much memory. */
const mostBytes = 2 ** 20;

/** The file in a run's folder by which `sana-train attach` tells the run what a person wants, a JSON object a line. */
const controlFile = 'control.jsonl';

/** Asks something of the run in another process. */
export async function sendCommand(runDir: string, command: RunCommand, time: number): Promise<void> {
  const path = join(runDir, controlFile);
  try {
    const said = typeof command === 'string' ? { command } : { command: 'prompt', prompt: command.prompt };
    await appendFile(path, `${JSON.stringify({ ...said, time })}\n`);
  } catch (error) {
    throw fileError(error, 'write', path);
  }
}

/**
 * Reads what was appended to a file since the last time, a megabyte or so at most: what is more comes with the next call.
 * A last line that is not ended yet waits for its rest.
 */
export function followLines(path: string): () => Promise<readonly string[]> {
  let offset = 0;
  let most = mostBytes;
  return async () => {
    let handle;
    try {
      handle = await open(path, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw fileError(error, 'read', path);
    }
    try {
      const { size } = await handle.stat();
      if (size <= offset) return [];
      const bytes = Buffer.alloc(Math.min(most, size - offset));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      const end = bytes.subarray(0, bytesRead).lastIndexOf('\n') + 1;
      offset += end;
      // A line that is longer than what was read of it needs more.
      most = end === 0 && bytesRead === most ? most * 2 : mostBytes;
      return bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
    } finally {
      await handle.close();
    }
  };
}

/**
 * Listens to what other processes ask of a run, until it is told to stop.
 * @param since commands before this time (milliseconds since 1970) were meant for an earlier run in the folder
 */
export function followCommands(runDir: string, since: number, onCommand: (command: RunCommand) => void): () => void {
  const read = followLines(join(runDir, controlFile));
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) return;
    isReading = true;
    read()
      .then((lines) => {
        for (const line of lines) {
          const command = parseCommand(line, since);
          if (command) onCommand(command);
        }
        return undefined;
      })
      // A folder that cannot be read for a moment is no reason to end a run.
      .catch(() => undefined)
      .finally(() => {
        isReading = false;
      });
  }, 500);
  timer.unref();
  return () => clearInterval(timer);
}

function parseCommand(line: string, since: number): RunCommand | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (!isRecord(value) || typeof value['time'] !== 'number' || value['time'] < since) return undefined;
    const { command, prompt } = value;
    if (command === 'prompt') {
      const isFit = typeof prompt === 'string' && prompt.trim() !== '' && prompt.length <= longestPrompt;
      return isFit ? { prompt } : undefined;
    }
    // In the list: checked.
    return typeof command === 'string' && commands.includes(command) ? (command as RunCommand) : undefined;
  } catch {
    return undefined;
  }
}
