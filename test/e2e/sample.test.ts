import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from './run-command.ts';

// Written by tools/goldens/parity_cases.py: a small pipeline with random weights.
const golden = fileURLToPath(new URL('../parity/goldens/plain', import.meta.url));
const model = join(golden, 'pipeline');
const common = [model, '--chi', 'none', '--max-sequence-length', '20', '--steps', '2'];
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-sample-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sana-train sample', () => {
  it('writes pictures with their settings, and a line for each', async () => {
    const adapter = join(golden, 'lora_all_r3_a6.adapter.safetensors');
    const settings = [
      '--adapter',
      `${adapter}:0.5`,
      '--adapter',
      `${adapter}:0.25`,
      '--negative',
      'blurry',
      '--seed',
      '5',
      '--count',
      '2',
      '--size',
      '32x16',
    ];
    const { stdout, stderr, exitCode } = await runCommand(
      ['sample', ...common, '-p', 'a dog', '-p', 'Bär', ...settings, '-o', 'out'],
      { cwd: folder },
    );
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    const names = ['0001-a-dog.png', '0002-a-dog.png', '0003-bär.png', '0004-bär.png'];
    expect(
      stdout
        .replaceAll(/\d+\.\d s/g, 'S')
        .trim()
        .split('\n'),
    ).toEqual(names.map((name, i) => `${join('out', name)}  32x16  seed ${5 + (i % 2)}  S`));
    expect((await readdir(join(folder, 'out'))).map((name) => name.normalize('NFC')).sort()).toEqual(names);

    const { comments, width, height } = await sharp(join(folder, 'out', '0002-a-dog.png')).metadata();
    expect([width, height]).toEqual([32, 16]);
    expect(comments?.[0]?.text).toContain(
      'a dog\nNegative prompt: blurry\nSteps: 2, Sampler: flow_dpm_solver, CFG scale: 4.5, Seed: 6, Size: 32x16, Model: pipeline, Adapters: "lora_all_r3_a6.adapter.safetensors:0.5, lora_all_r3_a6.adapter.safetensors:0.25"',
    );
    expect(comments?.[1]?.text).not.toContain(golden);
  });

  it.each<[string, readonly string[], string | RegExp]>([
    ['a size that is no multiple', ['--size', '30'], 'The width is 30 pixels; use a multiple of 4, such as 32.\n'],
    [
      'an adapter that is not there',
      ['-a', 'none.safetensors:0.5'],
      'Could not read none.safetensors: there is no such file; check the path.\n',
    ],
    [
      'a scale that is none',
      ['-a', 'dog.safetensors:big'],
      '--adapter dog.safetensors:big: "big" is no scale; write FILE or FILE:SCALE, such as dog.safetensors:0.8.\n',
    ],
    [
      'an adapter of another model',
      ['-a', join(model, 'vae', 'diffusion_pytorch_model.safetensors')],
      /is no adapter of this model: it has "decoder/,
    ],
  ])('refuses %s, and writes nothing', async (_, settings, message) => {
    const { stdout, stderr, exitCode } = await runCommand([
      'sample',
      ...common,
      '-p',
      'a dog',
      ...settings,
      '-o',
      join(folder, 'no.png'),
    ]);
    expect(stderr).toMatch(message);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(await readdir(folder)).not.toContain('no.png');
  });

  // Windows has no signals between processes.
  it.skipIf(process.platform === 'win32')(
    'ends with 130 when it is stopped, and leaves whole pictures alone',
    async () => {
      const args = ['sample', ...common, '-p', 'a dog', '--steps', '1', '--count', '100', '-o', 'stopped'];
      const { stdout, stderr, exitCode } = await runCommand(args, { cwd: folder, signal: 'SIGINT' });
      expect({ stderr, exitCode }).toEqual({
        stderr: 'stopping after this step; Ctrl-C again stops at once\n',
        exitCode: 130,
      });
      const files = await readdir(join(folder, 'stopped'));
      expect(files.length).toBeLessThan(100);
      expect(files).toHaveLength(stdout.trim().split('\n').length);
    },
  );

  it('says that a model is not there', async () => {
    const { stderr, exitCode } = await runCommand(['sample', 'no-such-model', '-p', 'a dog', '-o', folder]);
    expect({ stderr, exitCode }).toEqual({
      stderr: 'There is no folder no-such-model, and it is no id of Hugging Face, which has the form OWNER/NAME.\n',
      exitCode: 1,
    });
  });
});
