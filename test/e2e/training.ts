import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRandom } from '../../src/random.ts';

const root = join(import.meta.dirname, '..', '..');

/** A folder with five small pictures with captions, and a config that trains a tiny random Sana on them in a second. */
export async function tinyRun(folder: string, { steps }: { readonly steps: number }): Promise<string> {
  const photos = join(folder, 'photos');
  await mkdir(photos, { recursive: true });
  const random = createRandom('photos');
  for (let i = 0; i < 5; i++) {
    const [r, g, b] = [random.integer(256), random.integer(256), random.integer(256)];
    await sharp({ create: { width: 96, height: 96 + 16 * (i % 2), channels: 3, background: { r, g, b } } })
      .png()
      .toFile(join(photos, `${i}.png`));
    await writeFile(join(photos, `${i}.txt`), `a photo of sks dog, number ${i}`);
  }
  const config = join(folder, 'tiny.yaml');
  await writeFile(
    config,
    `model:
  path: ${JSON.stringify(join(root, 'test', 'parity', 'goldens', 'plain', 'pipeline'))}
  max_sequence_length: 24
dataset:
  path: photos
  resolution: 64
  random_flip: true
  cache_dir: ${JSON.stringify(join(folder, 'cache'))}
lora:
  rank: 2
  dropout: 0.1
train:
  max_train_steps: ${steps}
  train_batch_size: 2
  gradient_accumulation_steps: 2
  learning_rate: 1e-3
  use_ema: true
  checkpointing_steps: 3
  checkpoints_total_limit: 2
sample:
  every: 4
  width: 64
  height: 64
  num_inference_steps: 2
  prompts: [a photo of sks dog]
log:
  tensorboard: false
run_dir: ${JSON.stringify(join(folder, 'run'))}
`,
  );
  return config;
}

/** How a started training ended. */
export interface TrainingEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `sana-train CONFIG` of the built command line.
 * @param kill which signal to send, and when: after so many milliseconds, or once a line of stdout matches
 */
export function train(
  config: string,
  {
    args = [],
    kill,
    runDir,
  }: {
    readonly args?: readonly string[];
    readonly kill?: { readonly signal: NodeJS.Signals; readonly after?: number; readonly when?: RegExp };
    readonly runDir?: string;
  } = {},
): Promise<TrainingEnd> {
  return new Promise((resolve, reject) => {
    const set = runDir === undefined ? [] : ['--set', `run_dir=${runDir}`];
    const child = spawn(
      process.execPath,
      [join(root, 'dist', 'src', 'cli', 'main.js'), config, '--ui', 'plain', ...set, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, CI: 'true' },
      },
    );
    let [stdout, stderr, killed] = ['', '', false];
    const send = (): void => {
      if (kill && !killed) child.kill(kill.signal);
      killed = true;
    };
    const timer = kill?.after === undefined ? undefined : setTimeout(send, kill.after);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (kill?.when?.test(stdout)) send();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ exitCode, signal, stdout, stderr });
    });
  });
}

/** The bytes of a run's adapter. */
export function adapterOf(runDir: string): Promise<Buffer> {
  return readFile(join(runDir, 'adapter', 'pytorch_lora_weights.safetensors'));
}
