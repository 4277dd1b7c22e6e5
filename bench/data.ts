import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Command } from 'commander';
import pMap from 'p-map';
import sharp from 'sharp';

import { decodeConcurrency } from '../datasets/decode-concurrency.ts';
import { loadDatasets } from '../datasets/load-datasets.ts';
import { loadExamples } from '../datasets/load-example.ts';
import { plainSample, type Sample } from '../datasets/sample.ts';
import { createOnnxruntimeEngine } from '../src/engine/onnxruntime.ts';
import type { Tensor } from '../src/graph/tensor.ts';
import { createDcAe, loadDcAe } from '../src/models/dc-ae.ts';
import { createRandom } from '../src/random.ts';
import { randomModel } from './random-model.ts';

interface DataOptions {
  readonly pictures: number;
  readonly resolutions: readonly number[];
  readonly encode: number;
}

/**
 * Adds `bench data`: how fast pictures of twelve megapixels are read, decoded and resized, beside the autoencoder that
 * waits for them. A ratio above 1 means that it does not wait.
 */
export function addDataCommand(program: Command): void {
  program
    .command('data')
    .description('decode and resize of 12-megapixel JPEGs against the encoding of their latents')
    .option('--pictures <n>', 'pictures to write and decode', Number, 40)
    .option('--encode <n>', 'pictures to encode at each resolution', Number, 4)
    .option('--resolutions <list>', 'pixels', (text) => text.split(',').map(Number), [512, 1024])
    .action(async ({ pictures, resolutions, encode }: DataOptions) => {
      const folder = join(tmpdir(), 'sana-train-bench', `jpegs-${pictures}`);
      await writePictures(folder, pictures);
      const vae = await loadDcAe(await randomModel({ kind: 'vae', dtype: 'bfloat16' }));
      const engine = createOnnxruntimeEngine();
      console.log('| resolution | check | decode and resize | encode | ratio | both at once |');
      console.log('| --- | --- | --- | --- | --- | --- |');
      for (const resolution of resolutions) {
        let start = performance.now();
        const { examples } = await loadDatasets([{ folder, name: 'jpegs', resolutions: [resolution] }]);
        const check = secondsSince(start) / pictures;
        const samples = examples.flatMap((example) => example.buckets.map((bucket) => plainSample(example, bucket)));

        start = performance.now();
        let first: Tensor | undefined;
        for await (const { pixels } of loadExamples(samples)) first ??= pixels;
        const decode = secondsSince(start) / pictures;
        if (!first) throw new RangeError('bench data: no pictures');

        const running = createDcAe(engine, vae);
        const encodeOne = async (pixels: Tensor): Promise<number> => {
          const from = performance.now();
          await running.encode({ ...pixels, shape: [1, ...pixels.shape] });
          return secondsSince(from);
        };
        await encodeOne(first);
        const times: number[] = [];
        for (let i = 0; i < encode; i++) times.push(await encodeOne(first));
        const alone = Math.min(...times);

        start = performance.now();
        const some: readonly Sample[] = samples.slice(0, encode);
        for await (const { pixels } of loadExamples(some)) await encodeOne(pixels);
        const together = secondsSince(start) / some.length;
        await running.dispose();
        const cells = [check, decode, alone].map((seconds) => `${seconds.toFixed(3)} s`);
        console.log(
          `| ${resolution} px | ${cells.join(' | ')} | ${(alone / decode).toFixed(1)} | ${together.toFixed(3)} s |`,
        );
      }
      await engine.close();
      console.log(`\nseconds a picture, ${pictures} pictures of 4000 x 3000 pixels`);
    });
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}

/** JPEGs as a camera writes them: large shapes, fine grain, some megabytes each. Made once. */
async function writePictures(folder: string, count: number): Promise<void> {
  const found = await readdir(folder).catch(() => []);
  if (found.length === count) return;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const [width, height] = [4000, 3000];
  const grain = noise('grain', 1000, 750, 8);
  await pMap(
    Array.from({ length: count }, (_, i) => i),
    async (i) => {
      const shapes = await sharp(noise(`shapes ${i}`, 12, 9, 60), { raw: { width: 12, height: 9, channels: 3 } })
        .resize(width, height, { kernel: 'cubic', fit: 'fill' })
        .toBuffer();
      const fine = await sharp(grain, { raw: { width: 1000, height: 750, channels: 3 } })
        .resize(width, height, { kernel: 'cubic', fit: 'fill' })
        .toBuffer();
      const raw = { width, height, channels: 3 } as const;
      await sharp(shapes, { raw })
        .composite([{ input: fine, raw, blend: 'soft-light' }])
        .jpeg({ quality: 92 })
        .toFile(join(folder, `${String(i).padStart(3, '0')}.jpg`));
    },
    { concurrency: decodeConcurrency },
  );
}

function noise(seed: string, width: number, height: number, spread: number): Uint8Array {
  return Uint8Array.from(createRandom(seed).normals(width * height * 3), (value) =>
    Math.max(0, Math.min(255, 128 + spread * value)),
  );
}
