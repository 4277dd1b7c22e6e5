import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { decodeForModels } from '../../../src/caption/decode-for-models.ts';
import { loadVisionLanguageModel } from '../../../src/caption/vision-language-model.ts';

// Tiny random models of each kind, and what transformers says by the same weights, written by tools/goldens/captioners.py.
const goldens = join(import.meta.dirname, 'goldens');
const access = { remote: false, host: 'http://127.0.0.1:9', cacheDir: '/nowhere', threads: 1 };

interface Golden {
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly said: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const golden = JSON.parse(await readFile(join(goldens, 'captions.json'), 'utf8')) as Golden;

describe('loadVisionLanguageModel', () => {
  it.each(Object.entries(golden.said))('says what transformers says: %s', async (kind, said) => {
    const model = await loadVisionLanguageModel(join(goldens, kind), 'fp32', access);
    const prompt = kind === 'smolvlm' || kind === 'moondream' ? { prompt: golden.prompt } : {};
    const texts: Record<string, string> = {};
    for (const name of Object.keys(said)) {
      const picture = await decodeForModels(await readFile(join(goldens, `${name}.png`)));
      texts[name] = await model.say(picture, { ...prompt, maxNewTokens: golden.maxNewTokens });
    }
    expect(texts).toEqual(said);

    // A picture of any other shape.
    const wide = await sharp(join(goldens, 'rings.png')).resize(150, 40, { fit: 'fill' }).png().toBuffer();
    const answer = await model.say(await decodeForModels(wide), { ...prompt, maxNewTokens: 3 });
    expect(answer).not.toBe('');
  });

  it('names what to use instead of a model that transformers.js does not have', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'blip-'));
    await writeFile(join(folder, 'config.json'), '{"model_type": "blip"}');
    await expect(loadVisionLanguageModel(folder, 'fp32', access)).rejects.toThrow(/of type blip, .*use Florence-2/);
  });
});
