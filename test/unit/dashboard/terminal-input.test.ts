import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';

import { createTerminalInput } from '../../../src/dashboard/terminal-input.ts';

/** A terminal's keyboard. */
function keyboard() {
  const stream = new PassThrough();
  const setRawMode = vi.fn<(on: boolean) => void>();
  return Object.assign(stream, { isTTY: true, setRawMode, ref: vi.fn<() => void>(), unref: vi.fn<() => void>() });
}

function open() {
  const stdin = keyboard();
  // What a terminal's stream has of Node's.
  const input = createTerminalInput(stdin as unknown as NodeJS.ReadStream);
  let keys = '';
  input.keys.setEncoding('utf8').on('data', (text: string) => (keys += text));
  return { stdin, input, keys: () => keys };
}

describe('createTerminalInput', () => {
  it('asks, and goes on as soon as everything was answered', async () => {
    const { stdin, input, keys } = open();
    const asked = input.ask((questions) => {
      expect(questions).toContain('\u001b[c');
      stdin.write('s\u001bP>|foot(1.13)\u001b\\\u001b[6;20;');
      stdin.write('10t\u001b[?62;4;22cp');
    }, 10_000);
    expect(await asked).toEqual({
      hasKitty: false,
      hasSixel: true,
      name: 'foot(1.13)',
      cell: { width: 10, height: 20 },
      isComplete: true,
    });
    expect(stdin.setRawMode).toHaveBeenCalledWith(true);
    await vi.waitFor(() => expect(keys()).toBe('sp'));
    input.close();
  });

  it('does not wait for a terminal that says nothing, and takes late answers for no keys', async () => {
    const { stdin, input, keys } = open();
    const start = performance.now();
    expect(await input.ask(() => stdin.write('\u001b[6;20;10t'), 30)).toMatchObject({ isComplete: false });
    expect(performance.now() - start).toBeLessThan(5000);
    stdin.write('\u001b');
    await vi.waitFor(() => expect(keys()).toBe('\u001b'));
    stdin.write('l\u001b_Gi=1;OK\u001b\\\u001b[?62;4cl');
    await vi.waitFor(() => expect(keys()).toBe('\u001bll'));
    stdin.write('\u001b[?1c');
    await vi.waitFor(() => expect(keys()).toBe('\u001bll\u001b[?1c'));
    input.close();
  });
});
