import { parseArgs } from 'node:util';
import { UserError } from '../../src/errors.ts';
import { runFolders } from './run-folders.ts';

const usage = `Usage: npm run parity -- DIR... [--only KIND]...

Runs the cases of folders that make_cases.py wrote and prints a row a case: its name, the largest error in units of
its tolerance, pass or FAIL. Exits 1 when one fails.`;

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { only: { type: 'string', multiple: true }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help || positionals.length === 0) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  return runFolders(positionals, values.only);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
