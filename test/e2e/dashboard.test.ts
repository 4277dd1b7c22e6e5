import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { hasTmux, openTerminal, type Terminal } from './terminal.ts';
import { tinyRun } from './training.ts';

let folder = '';
let runDir = '';
let config = '';
const terminals: Terminal[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dashboard-'));
  config = await tinyRun(folder, { steps: 2000 });
  runDir = join(folder, 'run');
});
afterEach(async () => {
  for (const terminal of terminals.splice(0)) terminal.close();
  // A run whose terminal was closed a moment ago may still write.
  await rm(folder, { recursive: true, maxRetries: 10, retryDelay: 200 });
});

function open(args: readonly string[], env?: Readonly<Record<string, string>>): Terminal {
  const terminal = openTerminal(args, env);
  terminals.push(terminal);
  return terminal;
}

const train = (steps: number): readonly string[] => {
  const settings = [
    `run_dir=${runDir}`,
    'sample.every=0',
    'train.checkpointing_steps=0',
    `train.max_train_steps=${steps}`,
  ];
  return [config, ...settings.flatMap((setting) => ['--set', setting])];
};

describe.skipIf(!hasTmux)('the dashboard in a terminal', () => {
  it('shows a run, answers keys, follows the size, and stops it saved', async () => {
    const terminal = open(train(2000));
    await terminal.shows(/train +[━╸─]+ [1-9]\d*\/2000/);
    await terminal.shows('loss');
    terminal.press('p');
    await terminal.shows('paused; p goes on');
    expect(terminal.screen().trimEnd().split('\n').length).toBeLessThanOrEqual(24);
    terminal.resize(120, 40);
    await terminal.shows(/^tiny.{80,}left$/m);
    terminal.press('?');
    await terminal.shows('another prompt');
    terminal.press('?');
    await terminal.shows('loss');
    terminal.press('p', 'q');
    await terminal.shows('Stop after this step, saved?');
    terminal.press('y');
    await terminal.shows('EXIT 130');
    expect(terminal.screen()).toMatch(/saved .*step-\d+/);
    expect(await readFile(join(runDir, 'report.html'), 'utf8')).toContain('stopped');
  });

  it('is attached to a run of another process, without colours, and stops it', async () => {
    const run = open(train(2000));
    await run.shows(/[1-9]\d*\/2000/);
    const attached = open(['attach', runDir], { NO_COLOR: '1' });
    await attached.shows(/train +[━╸─]+ [1-9]\d*\/2000/);
    attached.press('p');
    await run.shows('paused');
    attached.press('x');
    await attached.shows('Stop after this step, saved?');
    attached.press('y');
    await run.shows('EXIT 130');
    await attached.shows('stopped at step');
    attached.press('q');
    await attached.shows('EXIT 0');
    expect(attached.screen()).toContain('stopped at step');
  });

  it('makes pictures of prompts that are typed, in the run itself and attached to it', async () => {
    const run = open(train(2000));
    await run.shows(/[1-9]\d*\/2000/);
    run.press('t');
    await run.shows('Enter samples, Esc leaves it');
    run.press('sks dog of "$(ls)', 'Left', 'BSpace', 'Enter');
    await run.shows('samples 1/1 "sks dog of \\"$(l)", seed 0');
    const attached = open(['attach', runDir]);
    await attached.shows(/[1-9]\d*\/2000/);
    attached.press('t', 'a cat');
    await attached.shows('Enter samples, Esc leaves it');
    // By itself: with keys behind it in one go Escape is a key of those together with Alt.
    attached.press('Escape');
    await attached.shows('arrows pictures');
    attached.press('t', 'a cat', 'Enter');
    await attached.shows('samples 2/2 "a cat"');
    attached.press('q');
    await attached.shows('EXIT 0');
    run.press('q', 'y');
    await run.shows('EXIT 130');
    const events = (await readFile(join(runDir, 'events.jsonl'), 'utf8')).trimEnd().split('\n');
    const samples = events.flatMap((line) => (line.includes('"kind":"sample"') ? [JSON.parse(line) as object] : []));
    expect(samples).toMatchObject([
      { prompt: 'sks dog of "$(l)', index: 1000, path: expect.stringMatching(/^samples\/typed-1\/step-\d+\.png$/) },
      { prompt: 'a cat', index: 1001, path: expect.stringMatching(/^samples\/typed-2\/step-\d+\.png$/) },
    ]);
    expect(await readdir(join(runDir, 'samples', 'typed-2'))).toHaveLength(1);
    expect(await readFile(join(runDir, 'report.html'), 'utf8')).toContain('a cat');
  }, 120_000);

  it('may lose its terminal: the run goes on to its end', async () => {
    const terminal = open(train(300));
    await terminal.shows(/[1-9]\d*\/300/);
    terminal.close();
    await vi.waitFor(async () => expect(await readFile(join(runDir, 'report.html'), 'utf8')).toContain('done'), {
      timeout: 30_000,
      interval: 200,
    });
  }, 120_000);

  it('is plain lines where the terminal is dumb', async () => {
    const terminal = open(train(3), { TERM: 'dumb' });
    await terminal.shows('EXIT 0');
    expect(terminal.screen()).toMatch(/step 3\/3 +loss/);
  });
});
