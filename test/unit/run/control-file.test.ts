import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { followCommands, followLines, type RunCommand, sendCommand } from '../../../src/run/control-file.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'control-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('followLines', () => {
  it('reads what was added, and waits for the rest of a line', async () => {
    const path = join(folder, 'lines');
    const read = followLines(path);
    expect(await read()).toEqual([]);
    await appendFile(path, 'one\ntw');
    expect(await read()).toEqual(['one']);
    expect(await read()).toEqual([]);
    await appendFile(path, 'ö\nthree\n');
    expect(await read()).toEqual(['twö', 'three']);
  });

  it('reads a long record a piece at a time, and lines that are longer than a piece', async () => {
    const path = join(folder, 'lines');
    const lines = ['a'.repeat(700_000), 'b'.repeat(700_000), 'c'.repeat(3_000_000), 'd'];
    await appendFile(path, `${lines.join('\n')}\n`);
    const read = followLines(path);
    const pieces: (readonly string[])[] = [];
    for (let i = 0; i < 8; i++) pieces.push(await read());
    expect(pieces[0]).toHaveLength(1);
    expect(pieces.flat()).toEqual(lines);
  });
});

describe('followCommands', () => {
  it('passes on commands for this run, in order, and nothing else', async () => {
    await sendCommand(folder, 'stop', 99); // of an earlier run
    await sendCommand(folder, 'sample', 100);
    await appendFile(join(folder, 'control.jsonl'), 'nonsense\n{"command":"explode","time":200}\n');
    const heard: RunCommand[] = [];
    const unfollow = followCommands(folder, 100, (command) => heard.push(command));
    await vi.waitFor(() => expect(heard).toEqual(['sample']), { timeout: 5000 });
    await sendCommand(folder, 'pause', 300);
    await vi.waitFor(() => expect(heard).toEqual(['sample', 'pause']), { timeout: 5000 });
    unfollow();
  });

  it('passes on texts to make pictures of as they were typed, whatever is in them', async () => {
    const text = 'a "dog"\n{"command":"stop","time":999}\n\u001b]0;title\u0007 ../../etc';
    await sendCommand(folder, { prompt: text }, 100);
    const bad = [{ prompt: '  ' }, { prompt: 7 }, { prompt: 'x'.repeat(5001) }, {}];
    const lines = bad.map((one) => `${JSON.stringify({ command: 'prompt', ...one, time: 101 })}\n`);
    await appendFile(join(folder, 'control.jsonl'), lines.join(''));
    await sendCommand(folder, 'checkpoint', 102);
    const heard: RunCommand[] = [];
    const unfollow = followCommands(folder, 100, (command) => heard.push(command));
    await vi.waitFor(() => expect(heard).toEqual([{ prompt: text }, 'checkpoint']), { timeout: 5000 });
    unfollow();
  });
});
