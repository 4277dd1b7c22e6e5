import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../../src/text/tokenizer.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  await cp(join(import.meta.dirname, 'goldens/tokenizer'), folder, { recursive: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function change(name: string, edit: (text: string) => string): Promise<void> {
  const path = join(folder, name);
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

describe('loadTokenizer', () => {
  it('adds BOS for a Gemma class whose file does not', async () => {
    const ids = (await loadTokenizer(folder)).encode('a dog');
    await change('tokenizer.json', (text) => JSON.stringify({ ...JSON.parse(text), post_processor: null }));
    const { encode, bosId } = await loadTokenizer(folder);
    expect(encode('a dog')).toEqual(ids.slice(1));
    await change('tokenizer_config.json', (text) => text.replace('"TokenizersBackend"', '"GemmaTokenizerFast"'));
    expect((await loadTokenizer(folder)).encode('a dog')).toEqual(ids);
    expect(ids[0]).toBe(bosId);
  });

  it('takes an unpaired surrogate for U+FFFD', async () => {
    const { encode } = await loadTokenizer(folder);
    expect(encode('a\ud83d')).toEqual(encode('a\ufffd'));
  });

  it('reads special tokens that are objects', async () => {
    await change('tokenizer_config.json', (text) => text.replace('"<pad>"', '{"content":"<eos>"}'));
    expect((await loadTokenizer(folder)).padId).toBe(1);
  });

  it('says what is missing or of another kind', async () => {
    await change('tokenizer_config.json', (text) => text.replace('"<pad>"', '"<nothing>"'));
    await expect(loadTokenizer(folder)).rejects.toThrow(/names no pad_token/);
    await change('tokenizer.json', (text) => text.replace('"byte_fallback":true', '"byte_fallback":false'));
    await expect(loadTokenizer(folder)).rejects.toThrow(/not a BPE tokenizer with a token for every byte/);
    await writeFile(join(folder, 'tokenizer.json'), '{}');
    await expect(loadTokenizer(folder)).rejects.toThrow(/has no BPE vocabulary/);
    await rm(join(folder, 'tokenizer.json'));
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer\.json: there is no such file/);
    await writeFile(join(folder, 'tokenizer.model'), '');
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer\.model alone/);
  });
});
