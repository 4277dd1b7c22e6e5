import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';

import { createRandom } from '../../src/random.ts';
import { tinyRun, train } from './training.ts';
import { completion, type MockServer, startMockServer } from '../unit/caption/mock-server.ts';

const root = join(import.meta.dirname, '..', '..');

let server: MockServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function setUp(count: number, captioners: readonly object[], caption: object = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'caption-'));
  await mkdir(join(folder, 'photos'));
  const random = createRandom('photos');
  for (let i = 0; i < count; i++) {
    const background = { r: random.integer(256), g: random.integer(256), b: random.integer(256) };
    await sharp({ create: { width: 96, height: 96, channels: 3, background } })
      .png()
      .toFile(join(folder, 'photos', `${String(i).padStart(2, '0')}.png`));
  }
  const config = {
    model: 'sana-pico',
    dataset: { path: 'photos', resolution: 256, minimum_image_size: 32, cache_dir: join(folder, 'cache') },
    caption: { captioners, output: join(folder, 'captions.jsonl'), ...caption },
    run_dir: join(folder, 'run'),
  };
  // JSON is YAML.
  await writeFile(join(folder, 'run.yaml'), JSON.stringify(config));
  return folder;
}

/** Runs `sana-train caption` of the built command line; `child` gets to know the process. */
function caption(
  folder: string,
  started: (kill: () => void) => void = () => undefined,
): Promise<{ readonly exitCode: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const main = join(root, 'dist', 'src', 'cli', 'main.js');
    const child = spawn(process.execPath, [main, 'caption', join(folder, 'run.yaml')]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, output }));
    started(() => child.kill('SIGKILL'));
  });
}

async function linesOf(folder: string): Promise<readonly { readonly picture: string; readonly text: string }[]> {
  const text = await readFile(join(folder, 'captions.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly picture: string; readonly text: string });
}

describe('sana-train caption', () => {
  it('loses nothing and captions nothing twice when it is killed again and again', async () => {
    const pictures = 24;
    const kills = 20;
    let kill: (() => void) | undefined;
    let sinceStart = 0;
    server = await startMockServer((index) => {
      // The second request of each run is killed in the middle; the first one's caption is on the disk by then.
      if (kill && ++sinceStart === 2) setTimeout(kill, 60);
      return { ...completion(`caption ${index}`), delayMs: 120 };
    });
    const folder = await setUp(
      pictures,
      [{ type: 'openai', base_url: server.baseUrl, model: 'm', max_concurrent_requests: 1 }],
      { clip_model: 'none', selection: 'uniform' },
    );
    for (let i = 0; i < kills; i++) {
      sinceStart = 0;
      await caption(folder, (kills) => (kill = kills));
    }
    kill = undefined;
    const { exitCode, output } = await caption(folder);
    expect(exitCode, output).toBe(0);
    const lines = await linesOf(folder);
    expect(lines.map(({ picture }) => picture).toSorted()).toEqual(
      Array.from({ length: pictures }, (_, i) => `photos/${String(i).padStart(2, '0')}.png`),
    );
    expect(new Set(lines.map(({ text }) => text)).size).toBe(pictures);
    // What a kill interrupts is asked again: one request each, and one more where the disk was slower than the kill.
    expect(server.requests.length).toBeLessThanOrEqual(pictures + 2 * kills);
    expect(lines.length).toBe(pictures);
  }, 600_000);

  it('captions offline by the bundled models, and says by the exit code whether all is captioned', async () => {
    const folder = await setUp(2, [
      { type: 'transformers', model: 'caption-pico-brief' },
      { type: 'template', template: 'a photo of [filename]', name: 'named' },
    ]);
    const { exitCode, output } = await caption(folder);
    expect(exitCode, output).toBe(0);
    const lines = await linesOf(folder);
    expect(lines).toHaveLength(4);
    expect(lines.every((line) => 'score' in line)).toBe(true);
    expect(await readFile(join(folder, 'run', 'captions.html'), 'utf8')).toContain('caption-pico-brief');

    await writeFile(join(folder, 'photos', '99.png'), 'no picture');
    const again = await caption(folder);
    expect(again.exitCode).toBe(1);
    expect(again.output).toMatch(/1 file/);
    expect(await linesOf(folder)).toEqual(lines);
  }, 60_000);

  it('is a stage of training where a config has captioners', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'caption-train-'));
    const config = await tinyRun(folder, { steps: 2 });
    const captioners = [{ type: 'existing' }, { type: 'template', template: 'a drawing of [filename]' }];
    const set = [
      `caption.captioners=${JSON.stringify(captioners)}`,
      'caption.clip_model=none',
      'caption.selection=uniform',
      'sample.every=0',
    ].flatMap((option) => ['--set', option]);
    const { exitCode, stdout, stderr } = await train(config, { args: set });
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain('captions: 5 of 5 pictures');
    expect(await readFile(join(folder, 'run', 'captions.html'), 'utf8')).toContain('a drawing of');
  }, 60_000);
});
