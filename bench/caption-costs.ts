import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';

import type { Command } from 'commander';
import sharp from 'sharp';

import { loadDatasets } from '../datasets/load-datasets.ts';
import { findTransformersModel } from '../src/caption/bundled-models.ts';
import { captionStage } from '../src/caption/caption-stage.ts';
import { decodeForModels, sideForModels } from '../src/caption/decode-for-models.ts';
import { setModelAccess } from '../src/caption/load-pretrained.ts';
import { ask, loadParts, pixelsSeen } from '../src/caption/vision-language-model.ts';
import { parseConfig } from '../src/config/load-config.ts';
import type { RgbPicture } from '../src/metrics/pillow-resize.ts';

/** Processor seconds of this process: other programs do not count, nor do threads that wait. */
async function processorSeconds<T>(
  work: () => Promise<T> | T,
): Promise<{ readonly value: T; readonly seconds: number }> {
  const before = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(before);
  return { value, seconds: (user + system) / 1e6 };
}

/** A JPEG as cameras make them: smooth shapes, and noise. */
async function photo(width: number, height: number, seed: number): Promise<Uint8Array> {
  const noise = sharp({
    create: { width, height, channels: 3, background: '#888888', noise: { type: 'gaussian', mean: 128, sigma: 40 } },
  });
  return await noise
    .blur(2)
    .tint({ r: (seed * 67) % 256, g: (seed * 31) % 256, b: (seed * 11) % 256 })
    .jpeg({ quality: 92 })
    .toBuffer();
}

interface Costs {
  decode: number;
  transfer: number;
  prepare: number;
  model: number;
}

async function costsOf(
  folder: string,
  maxNewTokens: number,
  size: readonly [number, number],
  count: number,
): Promise<Costs> {
  const access = { remote: false, host: '', cacheDir: '/nowhere', threads: 1 };
  setModelAccess(access);
  const { location } = await findTransformersModel(folder);
  const { type, parts } = await loadParts(location, 'auto', access);
  const [width, height] = size;
  const side = sideForModels({ width, height }, pixelsSeen(parts));
  const costs: Costs = { decode: 0, transfer: 0, prepare: 0, model: 0 };
  for (let i = -2; i < count; i++) {
    const bytes = await photo(...size, i + 3);
    if (i === 0) Object.assign(costs, { decode: 0, transfer: 0, prepare: 0, model: 0 }); // the first ones warm up
    const decoded = await processorSeconds(() => decodeForModels(bytes, side));
    const sent = await processorSeconds(() => deserialize(serialize(decoded.value)) as RgbPicture);
    let output: unknown;
    const generate = async (inputs: Readonly<Record<string, unknown>>): Promise<unknown> => {
      const { value, seconds } = await processorSeconds(() => parts.model.generate(inputs));
      costs.model += seconds;
      output = value;
      return value;
    };
    const model = { config: parts.model.config };
    await ask(type, { ...parts, model: { ...model, generate } }, sent.value, { maxNewTokens });
    // Once more with the same answer, so that what the model leaves to be cleaned up is not counted here.
    const again = { ...parts, model: { ...model, generate: () => Promise.resolve(output) } };
    const prepared = await processorSeconds(() => ask(type, again, sent.value, { maxNewTokens }));
    costs.decode += decoded.seconds;
    costs.transfer += sent.seconds;
    costs.prepare += prepared.seconds;
  }
  return costs;
}

async function measureCosts(models: readonly string[], tokens: number, count: number): Promise<void> {
  console.log('| model | photo | decode | transfer | resize, tokenise | model | all but the model |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const model of models) {
    const path = model.includes('/') ? resolve(model) : model;
    for (const size of [
      [1024, 1024],
      [4000, 3000],
    ] as const) {
      const { decode, transfer, prepare, model: own } = await costsOf(path, tokens, size, count);
      const cells = [decode, transfer, prepare, own].map((seconds) => ((1000 * seconds) / count).toFixed(0));
      const share = (100 * (decode + transfer + prepare)) / (decode + transfer + prepare + own);
      console.log(`| ${basename(path)} | ${size.join(' x ')} | ${cells.join(' | ')} | ${share.toFixed(1)}% |`);
    }
  }
}

/** Resident MiB of a process; Linux alone tells of others. */
async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024);
}

interface MemoryOptions {
  readonly count: number;
  readonly side: number;
  readonly baseUrl?: string;
}

async function measureMemory(
  count: number,
  side: number,
  captioners: readonly object[],
  rates: boolean,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sana-captions-'));
  const photos = join(folder, 'photos');
  try {
    await mkdir(photos);
    const pixels = new Uint8Array(side * side * 3);
    for (let i = 0; i < count; i++) {
      // Pictures of their own: what is the same is captioned once.
      pixels.fill(i % 251, 0, pixels.length / 2);
      pixels.fill(i >> 8, pixels.length / 2);
      pixels[i % pixels.length] = 255;
      const picture = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
      await writeFile(join(photos, `${i}.png`), await picture.png({ compressionLevel: 1 }).toBuffer());
    }
    const { config } = await parseConfig({
      model: 'sana-pico',
      dataset: { path: photos, cache_dir: join(folder, 'cache') },
      caption: { captioners, ...(!rates && { clip_model: 'none', selection: 'uniform' }) },
      run_dir: join(folder, 'run'),
    });
    const datasets = await loadDatasets([{ folder: photos, name: 'photos', resolutions: [256] }]);
    const start = performance.now();
    console.log('| pictures | this process, MiB | models, MiB | seconds |\n| --- | --- | --- | --- |');
    const show = async (done: number): Promise<void> => {
      const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8').catch(() => '');
      const models = await Promise.all(
        children
          .trim()
          .split(' ')
          .map((pid) => residentMiB(Number(pid))),
      );
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      console.log(
        `| ${done} | ${await residentMiB(process.pid)} | ${Math.max(0, ...models.filter(Number.isFinite))} | ${seconds} |`,
      );
    };
    for await (const event of captionStage(config, 'bench', datasets)) {
      if (event.kind === 'stage' && event.done % Math.ceil(count / 20) === 0) await show(event.done);
    }
    await show(count);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Adds `bench caption-costs` and `bench caption-memory`: what captioning takes beside the models. */
export function addCaptionCostCommands(program: Command): void {
  program
    .command('caption-costs')
    .description('milliseconds of a processor for each part of a caption')
    .argument('<models...>', 'bundled captioners, or folders; tools/goldens/captioners.py --size base makes some')
    .option('--tokens <n>', 'tokens of a caption', Number, 60)
    .option('--count <n>', 'photos', Number, 5)
    .action(
      async (models: readonly string[], { tokens, count }: { readonly tokens: number; readonly count: number }) => {
        await measureCosts(models, tokens, count);
      },
    );
  program
    .command('caption-memory')
    .description('memory while pictures are captioned and rated')
    .option('--count <n>', 'pictures', Number, 10_000)
    .option('--side <n>', 'pixels of a side', Number, 96)
    .option('--base-url <url>', "a server with OpenAI's interface instead of the bundled models")
    .action(async ({ count, side, baseUrl }: MemoryOptions) => {
      const server = { type: 'openai', base_url: baseUrl, model: 'any', max_concurrent_requests: 16 };
      const bundled = { type: 'transformers', model: 'caption-pico-brief' };
      await measureMemory(count, side, [baseUrl === undefined ? bundled : server], baseUrl === undefined);
    });
}
