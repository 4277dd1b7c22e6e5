import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Behaviour, startFakeHub } from '../unit/hub/fake-hub.ts';
import { runCommand } from './run-command.ts';
import { tinyRun, train } from './training.ts';

// Written by tools/goldens/parity_cases.py: a small pipeline with random weights, and an adapter as peft trains it.
const golden = fileURLToPath(new URL('../parity/goldens/plain', import.meta.url));
const model = join(golden, 'pipeline');
const adapter = join(golden, 'lora_all_r3_a6.adapter.safetensors');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sana-train-export-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('sana-train export', () => {
  it('writes what inspect then says ComfyUI loads', async () => {
    const output = join(folder, 'dog.safetensors');
    const args = ['export', adapter, '--format', 'comfyui', '--output', output, '--model', model, '--trigger', 'sks'];
    const { stdout, stderr, exitCode } = await runCommand(args);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/dog\.safetensors: read back: a forward pass within \d\.\de[-+]\d+\n$/);

    const inspected = (await runCommand(['inspect', output])).stdout;
    expect(inspected).toMatch(/ComfyUI \(ExtraModels\) +loads it\n/);
    expect(inspected).toMatch(/diffusers 0\.34 and later +does not load it: .*--format diffusers/);
    expect(inspected).toMatch(/block 1 +█* +[\d.]+\n/);
    expect(inspected).toMatch(/modelspec\.trigger_phrase +sks\n/);
    const json: unknown = JSON.parse((await runCommand(['inspect', output, '--json'])).stdout);
    expect(json).toMatchObject({ adapter: { format: "ComfyUI (NVlabs' names)", kinds: ['lora'] } });
  });

  it('writes a merged model that samples, and refuses to write where something is', async () => {
    const output = join(folder, 'merged');
    const args = ['export', adapter, '--format', 'merged', '--output', output, '--model', model];
    expect(await runCommand(args)).toMatchObject({ stderr: '', exitCode: 0 });
    expect(await readdir(output)).toContain('model_index.json');
    const sample = ['sample', output, '-p', 'a dog', '--chi', 'none', '--steps', '2', '--out', join(folder, 'dog.png')];
    expect(await runCommand([...sample, '--max-sequence-length', '20'])).toMatchObject({ exitCode: 0 });
    const again = await runCommand(args);
    expect(again.stderr).toBe(`${output} is not empty; name another folder with --output.\n`);
    expect(again.exitCode).toBe(1);
  });

  it('says what is missing', async () => {
    const { stderr, exitCode } = await runCommand(['export', adapter, '--format', 'merged']);
    expect(stderr).toContain('name the model with --model');
    expect(exitCode).toBe(1);
    expect((await runCommand(['export', adapter])).stderr).toContain('Name what to write with --format');
  });
});

describe('sana-train CONFIG', () => {
  it('writes the formats that the config asks for, and goes on from one of them', async () => {
    const config = await tinyRun(folder, { steps: 2 });
    const formats = ['--set', 'export.formats=[diffusers, comfyui, kohya]', '--set', 'lora.type=dora'];
    expect(await train(config, { args: formats })).toMatchObject({ exitCode: 0 });
    const adapter = join(folder, 'run', 'adapter');
    expect((await readdir(adapter)).sort()).toEqual([
      'README.md',
      'pytorch_lora_weights.safetensors',
      'run-comfyui.safetensors',
      'run-kohya.safetensors',
      'samples',
    ]);
    expect((await runCommand(['inspect', join(adapter, 'run-kohya.safetensors')])).stdout).toContain(
      'modelspec.thumbnail',
    );

    const from = ['--set', `lora.init_from=${join(adapter, 'run-comfyui.safetensors')}`];
    const second = ['--set', `run_dir=${join(folder, 'second')}`, '--set', 'export.formats=[kohya]'];
    const push = ['--set', 'export.push_to_hub=me/dog', '--set', 'export.hub_private=true'];
    process.env['HF_TOKEN'] = 'hf_writes';
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    const { stdout, exitCode } = await train(config, { args: [...from, ...second, ...push] });
    expect(stdout).toContain('12 layers of rank 2, with magnitudes');
    const run = join(folder, 'second');
    expect(stdout).toMatch(/warning: The adapter is done, and was not pushed to me\/dog\. http.* cannot be reached/);
    expect(stdout).toContain(`Then: sana-train export ${run} --push me/dog --private\n`);
    expect(exitCode).toBe(0);
    expect(await readdir(join(folder, 'second', 'adapter'))).toEqual([
      'README.md',
      'samples',
      'second-kohya.safetensors',
    ]);

    const behaviour: Behaviour = { files: new Map(), commit: 'c'.repeat(40), token: 'hf_writes' };
    const hub = await startFakeHub('me/dog', behaviour);
    try {
      process.env['HF_ENDPOINT'] = hub.url;
      await writeFile(join(run, 'adapter', 'notes.txt'), 'not of the run');
      expect(await runCommand(['export', run, '--push', 'me/dog'])).toEqual({
        stdout: `${hub.url}/me/dog\n`,
        stderr: '',
        exitCode: 0,
      });
      const { files } = behaviour.pushed ?? { files: new Map<string, Buffer>() };
      expect([...files.keys()].sort()).toEqual(['README.md', 'samples/1.png', 'second-kohya.safetensors']);
      for (const [name, bytes] of files) expect(bytes).toEqual(await readFile(join(run, 'adapter', name)));
      expect(files.get('README.md')?.toString()).toContain('![a photo of sks dog](samples/1.png)');
    } finally {
      await hub.close();
      delete process.env['HF_TOKEN'];
      delete process.env['HF_ENDPOINT'];
    }
  }, 120_000);
});

describe('sana-train CONFIG with LoKr', () => {
  it("trains it, goes on from a checkpoint, writes LyCORIS' file, and exports the run as others load it", async () => {
    const home = join(folder, 'lokr');
    const config = await tinyRun(home, { steps: 3 });
    const args = ['--set', 'lora.type=lokr', '--set', 'lora.factor=4', '--set', 'lora.alpha=1'];
    expect(await train(config, { args })).toMatchObject({ exitCode: 0 });
    const more = await train(config, { args: [...args, '--set', 'train.max_train_steps=4'] });
    expect(more.stdout).toMatch(/goes on from .*step-3/);
    const adapter = join(home, 'run', 'adapter');
    const files = (await readdir(adapter)).filter((name) => name.endsWith('.safetensors'));
    expect(files).toEqual(['run-lycoris.safetensors']);
    const inspected = (await runCommand(['inspect', join(adapter, 'run-lycoris.safetensors')])).stdout;
    expect(inspected).toMatch(/kind +LoKr\n/);
    expect(inspected).toMatch(/SimpleTuner +loads it\n/);

    const exported = async (...options: readonly string[]): Promise<string> =>
      (await runCommand(['export', join(home, 'run'), '--output', join(home, 'out.safetensors'), ...options])).stdout;
    expect(await exported('--format', 'comfyui')).toMatch(
      /as the LoRA of rank \d+ that adds the same .*read back: a forward pass within/,
    );
    expect(await exported('--format', 'diffusers', '--rank', '2')).toMatch(/resized with [\d.]+% of its effect lost/);
  });
});

describe('sana-train extract', () => {
  it('finds what was merged again, and says what a lower rank loses by block', async () => {
    const merged = join(folder, 'tuned.safetensors');
    const layout = ['--format', 'merged', '--layout', 'native', '--output', merged];
    expect(await runCommand(['export', adapter, '--model', model, ...layout])).toMatchObject({ exitCode: 0 });
    const output = join(folder, 'extracted.safetensors');
    const { stdout, stderr, exitCode } = await runCommand([
      'extract',
      model,
      merged,
      '--rank',
      '1',
      '--output',
      output,
    ]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/block 0 +[\d.]+%\n +block 1 +[\d.]+%\n +all +[\d.]+%\n/);
    expect((await runCommand(['inspect', output])).stdout).toMatch(/rank +1\n/);
    expect((await runCommand(['extract', model, model, '--rank', '1'])).stderr).toContain('the same weights');
  });
});

describe('sana-train merge', () => {
  it('makes one adapter of two', async () => {
    const output = join(folder, 'both.safetensors');
    const { stdout, exitCode } = await runCommand(['merge', `${adapter}:0.5`, adapter, '--output', output]);
    expect(stdout).toContain('every layer within 0.0e+0');
    expect(exitCode).toBe(0);
    expect((await runCommand(['inspect', output])).stdout).toMatch(/rank +6\n/);
    expect((await runCommand(['merge', adapter, '--output', output])).stderr).toContain('merge takes two or more');
  });
});
