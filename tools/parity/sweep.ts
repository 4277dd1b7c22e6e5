import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { UserError } from '../../src/errors.ts';
import { pythonOf, runPython } from '../python.ts';
import { readCases } from './cases.ts';
import { createKinds, runCase, type Kinds } from './run-case.ts';

const variants = ['plain', 'qknorm', 'guidance', 'affine'];

const usage = `Usage: npm run parity:sweep -- VENV MAKE_CASES.py [--seeds 0-3] [--variants ${variants.join(',')}] [--folder DIR]

Makes the cases of every variant and seed with the Python of VENV (torch, diffusers, transformers, peft and prodigyopt),
computes them here, and prints the largest error of each kind and variant in units of its tolerance. Exits 1 when a
case fails.

  --seeds     a range such as 0-3, or a list such as 0,7,12
  --folder    keeps the cases in DIR/VARIANT-SEED, and takes those that are there already; else a temporary folder`;

/** What the cases of one kind and variant came to. */
interface Cell {
  largest: number;
  cases: number;
  failed: number;
}

/** 0-3 is 0, 1, 2, 3; 0,7 is 0 and 7. @throws UserError when it is neither */
function parseSeeds(text: string): readonly number[] {
  const range = /^(\d{1,6})-(\d{1,6})$/.exec(text);
  const seeds = range
    ? Array.from({ length: Math.max(0, Number(range[2]) - Number(range[1]) + 1) }, (_, i) => Number(range[1]) + i)
    : text.split(',').map(Number);
  if (seeds.length > 0 && seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)) return seeds;
  throw new UserError(`--seeds is ${text}; use a range such as 0-3, or a list such as 0,7,12.`);
}

function parseVariants(text: string): readonly string[] {
  const names = text.split(',');
  const unknown = names.filter((name) => !variants.includes(name));
  if (unknown.length === 0) return names;
  throw new UserError(`--variants has ${unknown.join(', ')}; there are ${variants.join(', ')}.`);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Runs a folder's cases; prints those that fail. */
async function runFolder(folder: string, kinds: Kinds, cellOf: (kind: string) => Cell): Promise<void> {
  for (const entry of await readCases(folder)) {
    const { error, detail } = await runCase(folder, entry, kinds);
    const cell = cellOf(entry.kind);
    cell.cases++;
    if (error <= 1) cell.largest = Math.max(cell.largest, error);
    else {
      cell.failed++;
      console.log(`FAIL ${path.basename(folder)} ${entry.name}: ${error.toPrecision(3)} of tol, ${detail}`);
    }
  }
}

/** The cells as a Markdown table, a kind a row. */
function tableOf(cells: ReadonlyMap<string, ReadonlyMap<string, Cell>>, columns: readonly string[]): string {
  const rows = [...cells].map(([kind, byVariant]) => {
    const texts = columns.map((variant) => {
      const cell = byVariant.get(variant);
      if (!cell) return '-';
      return cell.largest.toPrecision(2) + (cell.failed > 0 ? ` (${cell.failed} of ${cell.cases} fail)` : '');
    });
    return `| ${[kind, ...texts].join(' | ')} |`;
  });
  return [`| ${['kind', ...columns].join(' | ')} |`, `|${' --- |'.repeat(columns.length + 1)}`, ...rows].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '0-3' },
      variants: { type: 'string', default: variants.join(',') },
      folder: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [venv, script] = positionals;
  if (values.help || venv === undefined || script === undefined || positionals.length !== 2) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const seeds = parseSeeds(values.seeds);
  const chosen = parseVariants(values.variants);
  const python = await pythonOf(venv);
  if (!(await exists(script))) throw new UserError(`There is no ${script}; name make_cases.py.`);

  const cells = new Map<string, Map<string, Cell>>();
  const kinds = await createKinds();
  const parent = values.folder ?? (await mkdtemp(path.join(tmpdir(), 'sana-parity-')));
  try {
    for (const variant of chosen) {
      for (const seed of seeds) {
        const folder = path.resolve(parent, `${variant}-${seed}`);
        if (!(await exists(path.join(folder, 'cases.json')))) {
          const made = await runPython(python, [script, folder, '--variant', variant, '--seed', `${seed}`], {
            quiet: true,
          });
          if (made !== 0) throw new UserError(`${script} ended with code ${made}; what it said is above.`);
        }
        await runFolder(folder, kinds, (kind) => {
          const row = cells.get(kind) ?? new Map<string, Cell>();
          const cell = row.get(variant) ?? { largest: 0, cases: 0, failed: 0 };
          cells.set(kind, row.set(variant, cell));
          return cell;
        });
        console.log(`${variant}-${seed} done`);
      }
    }
  } finally {
    await kinds.dispose();
    if (values.folder === undefined) await rm(parent, { recursive: true, force: true });
  }
  const all = [...cells.values()].flatMap((row) => [...row.values()]);
  const count = all.reduce((sum, cell) => sum + cell.cases, 0);
  const failed = all.reduce((sum, cell) => sum + cell.failed, 0);
  console.log(`\n${tableOf(cells, chosen)}\n\n${count - failed} passed, ${failed} failed`);
  return failed > 0 || count === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
