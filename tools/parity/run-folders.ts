import path from 'node:path';
import { readCases } from './cases.ts';
import { createKinds, runCase } from './run-case.ts';

/** Runs the cases of folders that make_cases.py wrote, and prints a row a case. Returns the exit code. */
export async function runFolders(folders: readonly string[], only?: readonly string[]): Promise<number> {
  const kinds = await createKinds();
  let passed = 0;
  let failed = 0;
  for (const folder of folders) {
    const all = await readCases(folder);
    const chosen = all.filter(({ kind }) => only?.includes(kind) ?? true);
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
