import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../src/errors.ts';

/** The interpreter of a virtual environment, wherever its system puts it. @throws UserError when there is none */
export async function pythonOf(venv: string): Promise<string> {
  for (const file of [path.join(venv, 'bin', 'python'), path.join(venv, 'Scripts', 'python.exe')]) {
    try {
      await access(file);
      return path.resolve(file);
    } catch {
      continue;
    }
  }
  throw new UserError(`${venv} is no Python environment; make one with: python3 -m venv ${venv}`);
}

/** Runs a script to its end, errors shown and output too unless `quiet`, and gives its exit code. */
export async function runPython(
  python: string,
  args: readonly string[],
  { quiet = false }: { readonly quiet?: boolean } = {},
): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    const child = spawn(python, args, { stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('close', resolve);
  });
}
