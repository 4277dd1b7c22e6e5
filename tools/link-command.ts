/**
 * Puts this package's own command beside those of its dependencies (node_modules/.bin), where `npx sana-train`
 * looks first. Without it npx installs the package a second time into its cache, over the network.
 */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const file = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const link = file('node_modules/.bin/sana-train');

await mkdir(file('node_modules/.bin'), { recursive: true });
await rm(link, { force: true });
if (process.platform === 'win32') {
  // npx looks for the first of these; cmd.exe and PowerShell run the second, Git's bash the first.
  await writeFile(link, '#!/bin/sh\nexec node "$(dirname "$0")/../../dist/src/cli/main.js" "$@"\n');
  await writeFile(`${link}.cmd`, '@node "%~dp0\\..\\..\\dist\\src\\cli\\main.js" %*\r\n');
} else {
  await chmod(file('dist/src/cli/main.js'), 0o755); // tsc writes files that are not executable
  await symlink('../../dist/src/cli/main.js', link);
}
