import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCache } from '../../../datasets/cache.ts';
import { canonicalJson, keyOf, latentKey, modelFilesKey, textKey } from '../../../datasets/cache-keys.ts';
import { planEpoch } from '../../../datasets/plan-epoch.ts';
import type { Sample } from '../../../datasets/sample.ts';
import { float32, tensor } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { temporaryPath } from '../../../src/io/temporary-path.ts';
import { createRandom } from '../../../src/random.ts';
import { madeUpExample } from './made-up-example.ts';
import { useTemporaryFolder } from './temporary-folder.ts';

const { at, write } = useTemporaryFolder();
const key = keyOf('x');
const entry = new Map<string, Tensor>([
  ['latents', float32([1, 2, 2], [1, 2, 3, 4])],
  ['mask', tensor('bfloat16', [2], Uint16Array.of(1, 2))],
]);
const pathOf = (one: string): string => at(`cache/v1/${one.slice(0, 2)}/${one}.safetensors`);

describe('openCache', () => {
  it('gives back what was put, to this process and to another', async () => {
    const cache = await openCache(at('cache'));
    expect(await cache.has(key)).toBe(false);
    expect(await cache.get(key)).toBeUndefined();
    await cache.put(key, entry);
    const other = await openCache(at('cache'));
    expect(await other.has(key)).toBe(true);
    expect(await other.get(key)).toEqual(entry);
  });

  it('drops an entry with any byte changed, or cut at any place, with a notice, and takes a new one', async () => {
    const notices: string[] = [];
    const cache = await openCache(at('cache'), { onNotice: (message) => notices.push(message) });
    await cache.put(key, entry);
    const whole = await readFile(pathOf(key));
    const random = createRandom('damage');
    for (let i = 0; i < 60; i++) {
      const position = random.integer(whole.length);
      const damaged = Buffer.from(whole);
      damaged[position] = (damaged[position] ?? 0) ^ (1 + random.integer(255));
      await writeFile(pathOf(key), i % 2 === 0 ? damaged : whole.subarray(0, position));
      const read = await cache.get(key);
      // Spaces that pad the header may become other white space; nothing else may pass.
      if (read === undefined) expect(await cache.has(key)).toBe(false);
      else expect(read).toEqual(entry);
      await cache.put(key, entry);
      expect(await cache.get(key)).toEqual(entry);
    }
    expect(notices.length).toBeGreaterThan(50);
    for (const notice of notices) expect(notice).toMatch(/^A cache entry was damaged and is made again \(.*\)\.$/);
  });

  it('drops an entry that lies under another key', async () => {
    const cache = await openCache(at('cache'));
    await cache.put(key, entry);
    const wrong = keyOf('y');
    await write(`cache/v1/${wrong.slice(0, 2)}/${wrong}.safetensors`, await readFile(pathOf(key)));
    expect(await cache.get(wrong)).toBeUndefined();
    expect(await cache.get(key)).toEqual(entry);
  });

  it('takes the same key from many writers at once', async () => {
    const writers = Array.from({ length: 8 }, (_, i) => i);
    const caches = await Promise.all(writers.map(() => openCache(at('cache'))));
    await Promise.all(caches.map((cache) => cache.put(key, entry)));
    expect(await Promise.all(caches.map((cache) => cache.get(key)))).toEqual(writers.map(() => entry));
    expect(await readdir(at(`cache/v1/${key.slice(0, 2)}`))).toEqual([`${key}.safetensors`]);
  });

  it('says that entries of another version are not used', async () => {
    await mkdir(at('cache/v0'), { recursive: true });
    const notices: string[] = [];
    await openCache(at('cache'), { onNotice: (message) => notices.push(message) });
    expect(notices).toEqual([
      `The cache ${at('cache')} also holds entries of another version of sana-train (v0); they are not used and may be deleted.`,
    ]);
  });

  it('removes what crashed writers left', async () => {
    const ours = `cache/v1/ab/${basename(temporaryPath('x.safetensors'))}`;
    await write(ours, 'being written');
    await write(ours.replace(`-${process.pid}-`, '-999999999-'), 'left');
    await openCache(at('cache'));
    expect(await readdir(at('cache/v1/ab'))).toEqual([basename(ours)]);
  });

  it('says when its folder cannot be one', async () => {
    await write('file', 'x');
    await expect(openCache(at('file'))).rejects.toThrow(`Could not open the cache ${at('file')}`);
    await expect((await openCache(at('cache'))).get('../x')).rejects.toThrow('is no SHA-256');
  });
});

describe('canonicalJson', () => {
  it('is one text a value, whatever the order of keys', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'é' }], a: true })).toBe('{"a":true,"b":[1,{"c":"é","d":null}]}');
    expect(keyOf({ a: 1, b: 2 })).toBe(keyOf({ b: 2, a: 1 }));
    expect(() => canonicalJson([Number.NaN])).toThrow('NaN is no number of JSON');
  });
});

describe('latentKey', () => {
  const use = { crop: 'random', flip: true } as const;
  const sampleOf = (name: string, epoch = 0, change = {}): Sample => {
    const example = { ...madeUpExample(name, { height: 700, width: 800, use }), ...change };
    const [sample] = planEpoch({ examples: [example], batchSize: 1, seed: 0, epoch })[0]?.samples ?? [];
    if (sample === undefined) throw new Error('no sample');
    return sample;
  };
  const options = { modelKey: 'dc-ae', dtype: 'float32' } as const;

  it('changes with everything that changes latents, and with nothing else', () => {
    const sample = sampleOf('a');
    const { picture, dataset } = sample.example;
    const changed = [
      latentKey(sample, options),
      latentKey(sample, { ...options, modelKey: 'other' }),
      latentKey(sample, { ...options, dtype: 'bfloat16' }),
      latentKey(sampleOf('b'), options),
      latentKey({ ...sample, placement: { ...sample.placement, flip: !sample.placement.flip } }, options),
      latentKey({ ...sample, placement: { ...sample.placement, kernel: 'lanczos' } }, options),
      latentKey(
        { ...sample, placement: { ...sample.placement, crop: { ...sample.placement.crop, left: 99 } } },
        options,
      ),
      latentKey(sampleOf('a', 0, { mask: { kind: 'alpha' } }), options),
      latentKey(sampleOf('a', 0, { mask: { kind: 'file', path: 'm', contentHash: 'm' } }), options),
      latentKey(sampleOf('a', 0, { picture: { ...picture, hasAlpha: true } }), options),
      latentKey(
        sampleOf('a', 0, { picture: { ...picture, hasAlpha: true }, dataset: { ...dataset, background: [0, 0, 0] } }),
        options,
      ),
    ];
    expect(new Set(changed).size).toBe(changed.length);
    const moved = sampleOf('a', 0, {
      captions: [{ text: 'other' }],
      picture: { ...picture, path: '/elsewhere', name: 'z' },
    });
    expect(latentKey(moved, options)).toBe(changed[0]);
  });

  it('is the same in every run', () => {
    // Changes only with the pixels or the latents that it stands for; caches made before are then not found.
    expect(latentKey(sampleOf('a'), options)).toMatchInlineSnapshot(
      `"178f91b5dfdb4e7dc9084a08ebd88a24c05ed23233f0eed3b022c1a2ad162a56"`,
    );
  });
});

describe('textKey', () => {
  it('changes with text, instruction, model, length and precision', () => {
    const options = {
      text: 'a dog',
      chi: 'Say:',
      modelKey: 'gemma',
      maxSequenceLength: 300,
      dtype: 'float32',
    } as const;
    const keys = [
      options,
      { ...options, text: 'a cat' },
      { ...options, text: 'Say:a dog', chi: null },
      { ...options, chi: null },
      { ...options, modelKey: 'other' },
      { ...options, maxSequenceLength: 200 },
      { ...options, dtype: 'float16' as const },
    ].map(textKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('modelFilesKey', () => {
  it('goes by contents and names, not by place or order', async () => {
    for (const folder of ['m', 'n']) {
      await write(join(folder, 'config.json'), '{}');
      await write(join(folder, 'model.safetensors'), 'weights');
    }
    const key = (folder: string): Promise<string> =>
      modelFilesKey([at(`${folder}/model.safetensors`), at(`${folder}/config.json`)]);
    expect(await key('m')).toBe(await key('n'));
    expect(await modelFilesKey([at('m/config.json'), at('m/model.safetensors')])).toBe(await key('m'));
    await write('n/model.safetensors', 'Weights');
    expect(await key('m')).not.toBe(await key('n'));
    await expect(modelFilesKey([at('none')])).rejects.toThrow('there is no such file');
  });

  it('samples large files', async () => {
    const large = new Uint8Array(65 * 2 ** 20);
    await write('large', large);
    const before = await modelFilesKey([at('large')]);
    large[large.length - 1] = 1;
    await write('large', large);
    expect(await modelFilesKey([at('large')])).not.toBe(before);
  });
});
