import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { vi } from 'vitest';

const command = join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js');

/** Whether tmux is there: without it nothing can be tested in a real terminal. */
export const hasTmux = spawnSync('tmux', ['-V']).status === 0;

/** A real terminal in which sana-train runs. */
export interface Terminal {
  /** What is on it, trailing spaces cut. */
  screen(): string;
  /** Keys in tmux's names: `Down`, `C-c`, or a letter. */
  press(...keys: readonly string[]): void;
  resize(columns: number, rows: number): void;
  /** Waits until the screen shows a text. */
  shows(text: string | RegExp): Promise<void>;
  /** Closes the terminal as a window is closed. */
  close(): void;
}

/** Opens a terminal of 80 by 24 and runs sana-train in it; `EXIT n` follows when it has ended. */
export function openTerminal(args: readonly string[], env: Readonly<Record<string, string>> = {}): Terminal {
  const socket = `sana-train-${randomUUID()}`;
  const tmux = (...words: readonly string[]): string =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`);
  const words = ['env', '-u', 'CI', '-u', 'NO_COLOR', ...variables, process.execPath, command, ...args.map(quote)];
  tmux('new-session', '-d', '-s', 'run', '-x', '80', '-y', '24', `${words.join(' ')}; echo EXIT $?; sleep 1000`);
  const screen = (): string => tmux('capture-pane', '-p', '-t', 'run');
  return {
    screen,
    press: (...keys) => {
      for (const key of keys) tmux('send-keys', '-t', 'run', key);
    },
    resize: (columns, rows) => {
      tmux('resize-window', '-t', 'run', '-x', String(columns), '-y', String(rows));
    },
    async shows(text) {
      await vi.waitFor(
        () => {
          const now = screen();
          if (!(typeof text === 'string' ? now.includes(text) : text.test(now)))
            throw new Error(`no ${text} on\n${now}`);
        },
        { timeout: 60_000, interval: 100 },
      );
    },
    close() {
      spawnSync('tmux', ['-L', socket, 'kill-server']);
    },
  };
}
