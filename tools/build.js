// Builds dist/: `npm run build`, and by itself (`prepare`) after `npm ci` and before `npm pack`.
// JavaScript and no dependencies, because it is what runs first.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @param {string} path from the repository's root */
const file = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const command = file('dist/src/cli/main.js');
const compiler = file('node_modules/typescript/bin/tsc');

/** Ends with a sentence when there is no compiler. */
function stopWithoutCompiler() {
  const sentence = 'sana-train is not built: run npm ci in its folder first, without --omit=dev.';
  if (calledByNpx) {
    // npm hides what this script prints, and npm 11 never recovers when it fails: let the command itself say it.
    mkdirSync(dirname(command), { recursive: true });
    const stub = `#!/usr/bin/env node\nconsole.error(${JSON.stringify(sentence)});\nprocess.exitCode = 1;\n`;
    writeFileSync(command, stub, { mode: 0o755 });
    process.exit();
  }
  console.error(sentence);
  process.exit(1);
}

function build() {
  rmSync(file('dist'), { recursive: true, force: true });
  try {
    execFileSync(process.execPath, [compiler, '-p', file('tsconfig.build.json')], { stdio: 'inherit' });
  } catch {
    process.exit(1); // the compiler has said why
  }
  chmodSync(command, 0o755); // tsc writes files that are not executable
}

// npx, called in this folder, runs `prepare` too: npm 10 before every command, npm 11 before the first. A build then
// would cost seconds a command, and would replace dist/ under a training run that is under way.
const calledByNpx = process.env.npm_lifecycle_event === 'prepare' && process.env.npm_command === 'exec';
if (!calledByNpx || !existsSync(command)) {
  if (!existsSync(compiler)) stopWithoutCompiler();
  build();
}
