import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a process printed and how it ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

const script = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** Runs `sana-train ...args` in the folder `cwd` without a terminal, as scripts and CI do. `nodeArgs` go to Node itself. */
export function runCommand(
  args: readonly string[],
  nodeArgs: readonly string[] = [],
  cwd = process.cwd(),
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, script, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ stdout, stderr, exitCode }));
  });
}
