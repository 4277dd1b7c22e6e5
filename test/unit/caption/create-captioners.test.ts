import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { captionerName, createCaptioners, createRater } from '../../../src/caption/create-captioners.ts';
import type { TransformersClient } from '../../../src/caption/transformers-client.ts';
import { parseConfig } from '../../../src/config/load-config.ts';
import type { CaptionConfig } from '../../../src/config/schema.ts';

const client: TransformersClient = {
  load: () => Promise.resolve(undefined),
  caption: (model) => Promise.resolve(`by ${model}`),
  score: (_, { texts }, window) => Promise.resolve(texts.map(() => ({ score: window === 'best' ? 1 : 2, excess: 0 }))),
  embed: () => Promise.resolve({ pictures: [], texts: [] }),
  close: () => undefined,
};

async function captionConfig(caption: object): Promise<CaptionConfig> {
  const { config } = await parseConfig(
    { model: 'sana-pico', dataset: { path: 'photos' }, caption },
    { checkFiles: false, cwd: import.meta.dirname },
  );
  return config.caption;
}

const picture = {
  id: 'dog/1_big dog.png',
  path: join(import.meta.dirname, '1_big dog.png'),
  hash: 'h',
  pixels: () => Promise.resolve({ data: new Uint8Array(3), width: 1, height: 1 }),
  existing: ['mine', 'mine', ''],
  triggerWord: 'sks',
};

describe('createCaptioners', () => {
  it('names captioners by their models, and makes each kind', async () => {
    const config = await captionConfig({
      captioners: [
        { type: 'transformers', model: 'onnx-community/Florence-2-base-ft', prompt: '<CAPTION>' },
        { type: 'openai', model: 'qwen2.5vl:7b' },
        { type: 'existing' },
        { type: 'template', name: 'same', template: '[trigger]: [filename]' },
      ],
    });
    const captioners = await createCaptioners(config, client);
    expect(captioners.map(({ name }) => name)).toEqual(['Florence-2-base-ft', 'qwen2.5vl-7b', 'existing', 'same']);
    expect(captioners[0]?.settings).toMatchObject({ model: 'onnx-community/Florence-2-base-ft', prompt: '<CAPTION>' });
    expect(await captioners[0]?.caption(picture)).toEqual(['by onnx-community/Florence-2-base-ft']);
    expect(await captioners[2]?.caption(picture)).toEqual(['mine']);
    expect(await captioners[3]?.caption(picture)).toEqual(['sks: 1 big dog']);
    expect(captioners.map(({ polish }) => polish.removeBoilerplate)).toEqual([true, true, false, false]);
  });

  it('refuses two of one name', async () => {
    const config = await captionConfig({
      captioners: [
        { type: 'openai', model: 'a/llava' },
        { type: 'openai', model: 'b/llava' },
      ],
    });
    expect(config.captioners.map(captionerName)).toEqual(['llava', 'llava']);
    await expect(createCaptioners(config, client)).rejects.toThrow(/called llava.*name: llava-2/);
  });

  it('knows the files of a folder, and refuses one without a model', async () => {
    const goldens = join(import.meta.dirname, '../metrics/goldens');
    const config = await captionConfig({ captioners: [{ type: 'transformers', model: join(goldens, 'clip') }] });
    const [captioner] = await createCaptioners(config, client);
    expect(captioner?.settings['model']).toMatch(/^clip [\da-f]{16}$/);
    const wrong = await captionConfig({ captioners: [{ type: 'transformers', model: goldens }] });
    await expect(createCaptioners(wrong, client)).rejects.toThrow(/onnx/);
  });
});

describe('createRater', () => {
  it('rates by the CLIP that suits the model that is trained', async () => {
    const config = await captionConfig({});
    const rater = await createRater(config, '/models/Sana_600M', client);
    expect(rater?.key).toBe('Xenova/clip-vit-large-patch14, best window');
    expect(await rater?.rate(picture, ['a', 'b'])).toEqual([
      { score: 1, excess: 0 },
      { score: 1, excess: 0 },
    ]);
    expect(await createRater({ ...config, clip_model: 'none' }, 'sana-pico', client)).toBeUndefined();
  });
});
