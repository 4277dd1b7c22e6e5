import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { UserError } from '../../src/errors.ts';
import { readCases, readTensors } from './cases.ts';
import type { CaseEntry, KindModule } from './cases.ts';
import { compareTensors } from './compare.ts';
import type { Comparison } from './compare.ts';

const usage = `Usage: npm run parity -- DIR... [--only KIND]...

Runs the cases of folders that make_cases.py wrote and prints a row a case: its name, the largest error in units of
its tolerance, pass or FAIL. Exits 1 when one fails.`;

const kindsFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'kinds');

function isKindModule(module: object): module is KindModule {
  return 'run' in module && typeof module.run === 'function';
}

/** The kinds that tools/parity/kinds has a file for, loaded when a case first needs one. */
async function createKinds(): Promise<{
  load(kind: string): Promise<KindModule | undefined>;
  dispose(): Promise<void>;
}> {
  const files = await readdir(kindsFolder);
  const loaded = new Map<string, KindModule>();
  return {
    async load(kind) {
      const file = `${kind.replaceAll('_', '-')}.ts`;
      if (!loaded.has(kind) && files.includes(file)) {
        const module: object = await import(pathToFileURL(path.join(kindsFolder, file)).href);
        if (!isKindModule(module)) throw new TypeError(`tools/parity/kinds/${file} exports no function run`);
        loaded.set(kind, module);
      }
      return loaded.get(kind);
    },
    async dispose() {
      for (const module of loaded.values()) await module.dispose?.();
    },
  };
}

async function runCase(folder: string, entry: CaseEntry, module: KindModule | undefined): Promise<Comparison> {
  if (!module) {
    return {
      error: Number.NaN,
      detail: `unknown kind: there is no tools/parity/kinds/${entry.kind.replaceAll('_', '-')}.ts`,
    };
  }
  try {
    const inputs = entry.inputs === undefined ? new Map() : await readTensors(folder, entry.inputs);
    const expected = await readTensors(folder, entry.expected);
    const { kind, name, params } = entry;
    const got = await module.run({ kind, name, params, inputs, folder, expectedNames: [...expected.keys()] });
    return compareTensors(got, expected, entry.tol, module.comparison);
  } catch (error) {
    const detail =
      error instanceof UserError
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
    return { error: Number.NaN, detail };
  }
}

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
      const { error, detail } = await runCase(path.resolve(folder), entry, await kinds.load(entry.kind));
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
