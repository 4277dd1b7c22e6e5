import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { followCommands, followLines, sendCommand } from '../../../src/run/control-file.ts';

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
});

describe('followCommands', () => {
  it('passes on commands for this run, in order, and nothing else', async () => {
    await sendCommand(folder, 'stop', 99); // of an earlier run
    await sendCommand(folder, 'sample', 100);
    await appendFile(join(folder, 'control.jsonl'), 'nonsense\n{"command":"explode","time":200}\n');
    const heard: string[] = [];
    const unfollow = followCommands(folder, 100, (command) => heard.push(command));
    await vi.waitFor(() => expect(heard).toEqual(['sample']), { timeout: 5000 });
    await sendCommand(folder, 'pause', 300);
    await vi.waitFor(() => expect(heard).toEqual(['sample', 'pause']), { timeout: 5000 });
    unfollow();
  });
});
