import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCache } from '../../../datasets/cache.ts';
import { loadDatasets } from '../../../datasets/load-datasets.ts';
import { plainSample, type Sample } from '../../../datasets/sample.ts';
import type { Engine } from '../../../src/engine/engine.ts';
import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { toFloat32 } from '../../../src/graph/tensor.ts';
import { openPipeline, type SanaPipeline } from '../../../src/pipeline/open-pipeline.ts';
import { createRandom } from '../../../src/random.ts';
import { withTextPrecision } from '../../../src/run/base-precision.ts';
import { cacheLatents, type CacheModels, cachePrompts, promptKeyOf, promptOf } from '../../../src/run/fill-cache.ts';
import { useTemporaryFolder } from '../datasets/temporary-folder.ts';

const { at, write } = useTemporaryFolder();
const models: CacheModels = {
  vaeKey: 'vae',
  textKey: 'text',
  textPrecision: 'fp32',
  chi: ['Say it:', 'Prompt: '],
  maxSequenceLength: 24,
};

let engine: Engine;
let pipeline: SanaPipeline;
beforeAll(async () => {
  engine = createOnnxruntimeEngine();
  pipeline = await openPipeline(join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'plain', 'pipeline'));
});
afterAll(async () => {
  await engine.close();
});

async function noisePicture(name: string, height: number, width: number): Promise<void> {
  const pixels = Uint8Array.from(createRandom(name).normals(height * width * 3), (value) => 128 + 40 * value);
  const picture = sharp(pixels, { raw: { height, width, channels: 3 } });
  await write(name, await picture.png().toBuffer());
}

/** The files of a cache that was filled in so many goes, by name. */
async function filled(
  name: string,
  goes: readonly (readonly { readonly sample: Sample; readonly text: string; readonly dropped: boolean }[])[],
): Promise<ReadonlyMap<string, string>> {
  const cache = await openCache(at(name));
  for (const go of goes) {
    const stage = { engine, cache, models };
    const prompts = go.map(({ text, dropped }) => promptOf(text, dropped, models));
    for await (const _ of cachePrompts(prompts, { ...stage, loadEncoder: pipeline.loadPromptEncoder }));
    const samples = go.map(({ sample }) => sample);
    for await (const _ of cacheLatents(samples, { ...stage, loadVae: pipeline.loadVae }));
  }
  const names = (await readdir(at(name), { recursive: true })).filter((one) => one.endsWith('.safetensors')).sort();
  return new Map(
    await Promise.all(
      names.map(async (one) => [one, (await readFile(join(at(name), one))).toString('base64')] as const),
    ),
  );
}

describe('cachePrompts and cacheLatents', () => {
  it('write the same bytes whatever else is encoded, and in whatever order', async () => {
    for (const i of [0, 1, 2, 3]) await noisePicture(`d/${i}.png`, 64 + 32 * (i % 2), 96);
    const { examples } = await loadDatasets([{ folder: at('d'), resolutions: [64] }]);
    const all = examples.flatMap((example, i) =>
      example.buckets.map((bucket) => ({
        sample: plainSample(example, bucket),
        text: i === 3 ? '' : `a photo of ${'very '.repeat(2 * i)}sks dog`,
        dropped: i === 3,
      })),
    );
    expect(all).toHaveLength(4);
    const together = await filled('together', [all]);
    expect(together.size).toBe(8);
    const [a, b, c, d] = all;
    if (!a || !b || !c || !d) throw new RangeError('four samples expected');
    expect(await filled('apart', [[d], [c, a], [b, a]])).toEqual(together);
  }, 60_000);
});

describe('cachePrompts in 8 bits', () => {
  it('keeps embeddings of each precision apart, and the weights for the next time', async () => {
    const cache = await openCache(at('precisions'));
    const prompt = promptOf('a dog', false, models);
    const options = { engine, cacheFolder: cache.folder, textKey: () => 'text' };
    const embeds: (Float32Array | undefined)[] = [];
    for (const textPrecision of ['fp32', 'int8'] as const) {
      const { loadPromptEncoder } = withTextPrecision(pipeline, textPrecision, options);
      const own = { ...models, textPrecision };
      for await (const _ of cachePrompts([prompt], {
        engine,
        cache,
        models: own,
        loadEncoder: loadPromptEncoder,
      }));
      const found = (await cache.get(promptKeyOf(prompt, own)))?.get('prompt_embeds');
      embeds.push(found && toFloat32(found));
    }
    expect(embeds[1]).toBeAllclose(embeds[0] ?? 0, { rtol: 0.1, atol: 0.1 });
    expect(embeds[1]).not.toEqual(embeds[0]);
    expect(await readdir(at('precisions/int8'))).toHaveLength(1);
  });

  it('are refused by other engines', async () => {
    const options = { engine: { ...engine, name: 'onnxruntime (webgpu)' }, cacheFolder: at('no'), textKey: () => '' };
    await expect(withTextPrecision(pipeline, 'int8', options).loadPromptEncoder()).rejects.toThrow(
      '8-bit products are made by onnxruntime on the CPU alone, and the engine is onnxruntime (webgpu)',
    );
  });
});
