import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a process printed and how it ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** null when a signal killed the process. */
  readonly exitCode: number | null;
}

/** How to run the command. */
export interface RunCommandOptions {
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** The folder to run in; this process's own by default. */
  readonly cwd?: string;
  /** Sent when the command first prints something. */
  readonly signal?: NodeJS.Signals;
}

const script = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** Runs `sana-train ...args` without a terminal, as scripts and CI do. */
export function runCommand(
  args: readonly string[],
  { nodeArgs = [], cwd = process.cwd(), signal }: RunCommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, script, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    if (signal) child.stdout.once('data', () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ stdout, stderr, exitCode }));
  });
}
