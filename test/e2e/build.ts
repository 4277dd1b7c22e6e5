import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));

/** Brings dist/ up to date with the sources before the command line is tested; a second when little changed. */
export function setup(): void {
  // Types are the type check's business: a test run shows what works all the same.
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--noCheck'], { cwd: root, stdio: 'inherit' });
}
