import { fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Engine } from '../../../src/engine/engine.ts';
import { excluded, probeEngine } from '../../../src/run/probe-engine.ts';
import { tryEngine } from '../../../src/run/try-engine.ts';
import { float32 } from '../../../src/graph/tensor.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-probe-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A process that does what `script` says in place of trying an engine. */
async function starting(script: string): Promise<() => ReturnType<typeof fork>> {
  const path = join(folder, `${script.length}.mjs`);
  await writeFile(path, script);
  return () => fork(path, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
}

describe('tryEngine', () => {
  it('tells what the process found', async () => {
    const start = await starting(
      "process.send({ kind: 'works', gigaflops: 2, seconds: 1 }, () => process.disconnect())",
    );
    expect(await tryEngine('cpu', start)).toEqual({ kind: 'works', gigaflops: 2, seconds: 1 });
  });

  it('names an engine that ends its process, with what it said', async () => {
    const start = await starting("console.error('noise'); console.error('Fatal error: no ISA'); process.abort()");
    expect(await tryEngine('cpu', start)).toEqual({
      kind: 'fails',
      reason: expect.stringMatching(/^The engine cpu ended its process \(.*: Fatal error: no ISA\); use another\.$/),
    });
  });
});

describe('probeEngine', () => {
  it('does not believe an engine that multiplies wrongly', async () => {
    const engine: Engine = {
      name: 'wrong',
      compile: () =>
        Promise.resolve({
          run: () => Promise.resolve({ product: float32([1024, 1024], new Float32Array(1024 ** 2)) }),
          dispose: () => Promise.resolve(),
        }),
      close: () => Promise.resolve(),
    };
    expect(await probeEngine('cpu', () => engine)).toEqual({ kind: 'wrong', error: 1 });
  });
});

describe('excluded', () => {
  it('says where an engine is that cannot be here', () => {
    expect(excluded('coreml', 'linux x64')).toContain('macOS (arm64)');
    expect(excluded('tfjs', 'darwin x64')).toBeUndefined();
  });
});
