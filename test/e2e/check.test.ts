import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { runCommand } from './run-command.ts';
import { tinyRun } from './training.ts';

let folder = '';
let config = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-check-'));
  config = await tinyRun(folder, { steps: 6 });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sana-train check', () => {
  it('exits 0 for a run that can start', async () => {
    const { stdout, exitCode } = await runCommand(['check', config]);
    expect(stdout).toContain('pictures\n  5 pictures used\n');
    expect(stdout).toMatch(/The run can start\.\n$/);
    expect(exitCode).toBe(0);
  });

  it('exits 1 for one that cannot, and says why', async () => {
    const { stdout, exitCode } = await runCommand(['check', config, '--set', 'lora.target_modules=[to_x]', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ problems: [expect.stringContaining('to_x')] });
    expect(exitCode).toBe(1);
  });
});

describe('sana-train doctor', () => {
  it('finds that the processor works, and says of each other engine why not', async () => {
    const { stdout, exitCode } = await runCommand(['doctor', '--json']);
    const { engines } = JSON.parse(stdout) as { readonly engines: readonly unknown[] };
    expect(engines).toContainEqual({
      engine: 'cpu',
      probe: { kind: 'works', gigaflops: expect.any(Number), seconds: expect.any(Number) },
    });
    expect(engines).toContainEqual({
      engine: process.platform === 'win32' ? 'coreml' : 'dml',
      probe: { kind: 'fails', reason: expect.stringMatching(/^onnxruntime has the engine .*; use model\.engine: /) },
    });
    expect(engines).toHaveLength(6);
    expect(exitCode).toBe(0);
    // Each engine is a process of its own, and TensorFlow.js in JavaScript takes seconds for a product.
  }, 180_000);
});
