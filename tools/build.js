// Builds dist/: `npm run build`, and by itself (`prepare`) after `npm ci` and before `npm pack`.
// JavaScript and no dependencies, because it is what runs first.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @param {string} path from the repository's root */
const file = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const command = file('dist/src/cli/main.js');

// npx, called in this folder, runs `prepare` too: npm 10 before every command, npm 11 before the first. A build then
// would cost seconds a command, and would replace dist/ under a training run that is under way.
const calledByNpx = process.env.npm_lifecycle_event === 'prepare' && process.env.npm_command === 'exec';
if (!calledByNpx || !existsSync(command)) {
  const compiler = file('node_modules/typescript/bin/tsc');
  if (!existsSync(compiler)) {
    console.error('sana-train cannot be built: TypeScript is not installed. Run npm ci first, without --omit=dev.');
    process.exit(1);
  }
  rmSync(file('dist'), { recursive: true, force: true });
  try {
    execFileSync(process.execPath, [compiler, '-p', file('tsconfig.build.json')], { stdio: 'inherit' });
  } catch {
    process.exit(1); // the compiler has said why
  }
  chmodSync(command, 0o755); // tsc writes files that are not executable
}
