import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = (path: string) => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));

/** Brings dist/ up to date with the sources before the command line is tested; a second when little changed. */
export function setup(): void {
  const run = (...args: readonly string[]) => execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  run(bin('typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--noCheck'); // types are the type check's business
  run(bin('tsx/dist/cli.mjs'), 'tools/link-command.ts');
}
