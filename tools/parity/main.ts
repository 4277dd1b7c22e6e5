import path from 'node:path';
import { parseArgs } from 'node:util';
import { UserError } from '../../src/errors.ts';
import { readCases } from './cases.ts';
import { createKinds, runCase } from './run-case.ts';

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
  const kinds = await createKinds();
  let passed = 0;
  let failed = 0;
  for (const folder of positionals) {
    const all = await readCases(folder);
    const chosen = all.filter(({ kind }) => values.only?.includes(kind) ?? true);
    const width = Math.max(0, ...chosen.map(({ name }) => name.length));
    console.log(folder);
    for (const entry of chosen) {
      const { error, detail } = await runCase(path.resolve(folder), entry, kinds);
      const isPass = error <= 1; // false for NaN
      if (isPass) passed++;
      else failed++;
      const shown = Number.isNaN(error) ? '-' : error.toPrecision(3);
      console.log(`  ${entry.name.padEnd(width)}  ${shown.padStart(9)} of tol  ${isPass ? 'pass' : 'FAIL'}  ${detail}`);
    }
  }
  await kinds.dispose();
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
