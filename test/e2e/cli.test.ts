import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { float32 } from '../../src/graph/tensor.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { runCommand } from './run-command.ts';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-cli-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sana-train', () => {
  it('prints the version of the package', async () => {
    const { stdout, exitCode } = await runCommand(['--version']);
    expect({ version: stdout.trim() }).toEqual({ version: (manifest as { version: string }).version });
    expect(exitCode).toBe(0);
  });

  it('prints help with examples in under 300 ms, and loads no native library for it', async () => {
    // Time of the processor: what a clock says depends on what else the machine does.
    const report =
      'const { user, system } = process.cpuUsage(); console.error(process.report.getReport().sharedObjects.join("\\n") + "\\n" + (user + system) / 1000)';
    const nodeArgs = ['--import', `data:text/javascript,process.on("exit", () => { ${report} })`];
    const { stdout, stderr } = await runCommand(['--help'], { nodeArgs });
    expect(stdout).toContain('Examples:\n  $ sana-train ');
    expect(stderr).not.toMatch(/onnxruntime|sharp|\.node$/m);
    expect(Number(stderr.trim().split('\n').at(-1))).toBeLessThan(300);
  });

  it('suggests the nearest command for an unknown one', async () => {
    const { stderr, stdout, exitCode } = await runCommand(['inspct', 'file']);
    expect(stderr).toContain("unknown command 'inspct'\n(Did you mean inspect?)");
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
  });

  it.skipIf(process.platform === 'win32').each(['SIGINT', 'SIGTERM'] as const)('exits 130 on %s', async (signal) => {
    const staysAlive = 'data:text/javascript,setInterval(() => {}, 1000)';
    const args = ['inspect', 'test/unit/io/goldens/dtypes.safetensors'];
    const { exitCode } = await runCommand(args, { nodeArgs: ['--import', staysAlive], signal });
    expect(exitCode).toBe(130);
  });

  it('shows the help and fails when it is called without a command', async () => {
    const { stderr, exitCode } = await runCommand([]);
    expect(stderr).toMatch(/^Usage: sana-train/);
    expect(exitCode).toBe(1);
  });
});

describe('sana-train inspect', () => {
  it('prints the summary, the metadata and the tensors of a file', async () => {
    const path = join(folder, 'adapter.safetensors');
    const tensors = new Map([['to_q.lora_A.weight', float32([2, 3], [1, 2, 3, 4, 5, 6])]]);
    await writeSafetensors(path, tensors, { metadata: { format: 'pt' } });

    const text = await runCommand(['inspect', path]);
    expect(text).toEqual({
      stdout: `${path}: 1 tensors, 6 elements, 24 bytes

metadata
  format  pt

tensors
  float32  [2, 3]  to_q.lora_A.weight
`,
      stderr: '',
      exitCode: 0,
    });

    const { stdout } = await runCommand(['inspect', path, '--json']);
    expect(JSON.parse(stdout)).toEqual({
      path,
      metadata: { format: 'pt' },
      tensors: [{ name: 'to_q.lora_A.weight', dtype: 'float32', shape: [2, 3] }],
    });
  });

  it('says in one sentence that a file is missing, and exits 1', async () => {
    const path = join(folder, 'none.safetensors');
    expect(await runCommand(['inspect', path])).toEqual({
      stdout: '',
      stderr: `Could not read ${path}: there is no such file; check the path.\n`,
      exitCode: 1,
    });
  });
});
