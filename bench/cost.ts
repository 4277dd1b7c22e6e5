import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';
import { z } from 'zod';

import type { GraphCost } from '../src/graph/cost.ts';
import { standardCosts } from '../test/standard-step.ts';

const path = join(import.meta.dirname, '..', 'test', 'unit', 'graph', 'goldens', 'step-cost.json');

const totals = z.object({ flops: z.number(), bytesMoved: z.number(), peakBytes: z.number() });
const file = z.object({ reason: z.string(), costs: z.record(z.string(), totals) });

/**
 * Adds `bench cost`: counts what the standard training step takes, beside what is recorded; with --reason it records
 * the new counts, which test/unit/graph/cost.test.ts compares.
 */
export function addCostCommand(program: Command): void {
  program
    .command('cost')
    .description('nodes, FLOPs, bytes moved and peak memory of the standard step, counted')
    .option('--reason <text>', 'record the counts, with what changed and why')
    .action(async ({ reason }: { readonly reason?: string }) => {
      const costs = await standardCosts();
      const before = await recorded();
      console.log('| step | nodes | GFLOP | MiB moved | peak MiB | recorded GFLOP, MiB moved, peak MiB |');
      console.log('| --- | --- | --- | --- | --- | --- |');
      for (const [name, cost] of Object.entries(costs)) {
        const known = before[name];
        const nodes = Object.values(cost.nodes).reduce((a, b) => a + b, 0);
        console.log(`| ${name} | ${nodes} | ${shown(cost).join(' | ')} | ${known ? shown(known).join(', ') : ''} |`);
      }
      if (reason !== undefined) await writeFile(path, `${JSON.stringify({ reason, costs }, null, 2)}\n`);
    });
}

function shown({ flops, bytesMoved, peakBytes }: Omit<GraphCost, 'nodes'>): readonly string[] {
  return [(flops / 1e9).toFixed(2), (bytesMoved / 2 ** 20).toFixed(0), (peakBytes / 2 ** 20).toFixed(1)];
}

async function recorded(): Promise<z.output<typeof file>['costs']> {
  try {
    return file.parse(JSON.parse(await readFile(path, 'utf8'))).costs;
  } catch {
    return {};
  }
}
