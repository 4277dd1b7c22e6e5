import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { loadConfig } from '../../../src/config/load-config.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { trainRun } from '../../../src/run/train-run.ts';
import { tinyRun } from '../../e2e/training.ts';

const folder = await mkdtemp(join(tmpdir(), 'sana-train-nf4-'));
afterAll(() => rm(folder, { recursive: true }));

/** A run of 4 steps, with the losses of its steps and the pictures that it made. */
async function run(
  name: string,
  train: { readonly precision: 'fp32' | 'nf4'; readonly gradient_checkpointing?: boolean },
): Promise<{ readonly losses: readonly number[]; readonly samples: readonly Buffer[]; readonly said: string }> {
  const { config } = await loadConfig(await tinyRun(join(folder, 'in'), { steps: 4 }));
  const runDir = join(folder, name);
  const events: TrainEvent[] = [];
  const tiny = { ...config, run_dir: runDir, train: { ...config.train, ...train } };
  for await (const event of trainRun({ config: tiny, name, version: '0', resume: 'auto' })) events.push(event);
  const pictures = events.flatMap((event) => (event.kind === 'sample' ? [join(runDir, event.path)] : []));
  return {
    losses: events.flatMap((event) => (event.kind === 'step' ? [event.loss] : [])),
    samples: await Promise.all(pictures.map((path) => readFile(path))),
    said: JSON.stringify(events),
  };
}

describe('trainRun in 4 bits', () => {
  it('trains and samples nearly as in fp32, on weights that the cache keeps for the next run', async () => {
    const exact = await run('fp32', { precision: 'fp32' });
    const nf4 = await run('nf4', { precision: 'nf4' });
    expect(nf4.said).toContain('set of 4-bit weights');
    expect(nf4.losses).toHaveLength(4);
    expect(nf4.losses).toBeAllclose(exact.losses, { rtol: 0.1, atol: 0 });
    expect(nf4.losses).not.toEqual(exact.losses);
    expect(nf4.samples.length).toBeGreaterThan(0);
    expect(nf4.samples).toHaveLength(exact.samples.length);
    expect(nf4.samples).not.toEqual(exact.samples);

    const [file = ''] = await readdir(join(folder, 'in', 'cache', 'nf4'));
    const path = join(folder, 'in', 'cache', 'nf4', file);
    const made = (await stat(path)).mtimeMs;
    const again = await run('again', { precision: 'nf4', gradient_checkpointing: true });
    expect(again.losses).toBeAllclose(nf4.losses, { rtol: 1e-4, atol: 0 });
    expect((await stat(path)).mtimeMs).toBe(made);
  });
});
