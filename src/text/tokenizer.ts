import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { UserError } from '../errors.ts';
import { isRecord, quoted, readJsonObject } from '../io/json.ts';

/** Turns text into Gemma's token ids. */
export interface Tokenizer {
  /** Token ids, beginning with BOS; a special token written out in the text counts as that token, as in transformers. */
  readonly encode: (text: string) => number[];
  readonly bosId: number;
  readonly padId: number;
}

/** A special token of tokenizer_config.json: a text, or an object that holds one. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['content'] === 'string' ? value['content'] : undefined;
}

/**
 * The library emits one <unk> for each unknown character and transformers one for a run of them (fuse_unk).
 * With a token for every byte, as Gemma has, there is no <unk> at all; a model without them is refused.
 */
function checkByteFallback(path: string, model: unknown): void {
  if (!isRecord(model) || !isRecord(model['vocab']))
    throw new UserError(`${path} has no BPE vocabulary; it is not Gemma's tokenizer.`);
  const { vocab, type, byte_fallback: byteFallback } = model;
  const missing = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  ).find((token) => !Object.hasOwn(vocab, token));
  if (type !== 'BPE' || byteFallback !== true || missing !== undefined) {
    throw new UserError(
      `${path} is not a BPE tokenizer with a token for every byte, as Gemma's is; name Sana's tokenizer folder.`,
    );
  }
}

/**
 * Loads a tokenizer folder as transformers writes it (tokenizer.json, tokenizer_config.json).
 * Where the library departs from transformers, Gemma's ids stay the same: it takes a stretch of spaces between two added
 * tokens (line breaks) for the added token of that many U+2581, and the merges make that very token of it.
 * @throws UserError when a file is missing or is not Gemma's kind of tokenizer
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes('tokenizer.model') && !names.includes('tokenizer.json')) {
    throw new UserError(
      `${folder} holds tokenizer.model alone; save the tokenizer with transformers to get tokenizer.json.`,
    );
  }
  const description = await readJsonObject(path);
  const configPath = join(folder, 'tokenizer_config.json');
  const config = await readJsonObject(configPath);
  checkByteFallback(path, description['model']);
  let library: HuggingFaceTokenizer;
  try {
    library = new HuggingFaceTokenizer(description, config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} cannot be used (${quoted(reason)}); download it again.`, { cause: error });
  }
  const idOf = (key: string): number => {
    const text = tokenText(config[key]);
    const id = text === undefined ? undefined : library.token_to_id(text);
    if (id === undefined) throw new UserError(`${configPath} names no ${key} that ${path} holds; download both again.`);
    return id;
  };
  const bosId = idOf('bos_token');
  const padId = idOf('pad_token');
  // Gemma's tokenizer class adds BOS whatever its tokenizer.json says; the file of others decides for itself.
  const addsBos = library.encode('').ids[0] === bosId;
  const needsBos = config['add_bos_token'] === true || String(config['tokenizer_class']).startsWith('Gemma');
  const encode = (text: string): number[] => {
    // An unpaired surrogate has no bytes; it becomes U+FFFD here, where Python would fail.
    const wellFormed = Buffer.from(text, 'utf8').toString('utf8');
    const { ids } = library.encode(wellFormed);
    return !addsBos && needsBos ? [bosId, ...ids] : ids;
  };
  return { encode, bosId, padId };
}
