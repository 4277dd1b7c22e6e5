import * as transformers from '@huggingface/transformers';

import { UserError } from '../errors.ts';
import { clipPixels } from '../metrics/clip-pixels.ts';
import { clipScore } from '../metrics/clip-score.ts';
import { type ClipWindow, clipWindows } from '../metrics/clip-windows.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';
import type { ClipEmbeddings, ModelAccess, PictureTexts, Rating } from './transformers-messages.ts';

// Shape letters: B pictures or windows, H, W pixels, T tokens, D the embeddings' width.

/** Both halves of a CLIP. */
export interface ClipModel {
  /** Pixels of the shorter side that every picture is scaled to. */
  readonly looksAt: number;
  /** Rates each picture's captions. */
  rate(items: readonly PictureTexts[], window: ClipWindow): Promise<readonly (readonly Rating[])[]>;
  /** Embeds pictures and texts, [D] each; of a text that is too long its beginning. */
  embed(pictures: readonly RgbPicture[], texts: readonly string[]): Promise<ClipEmbeddings>;
}

/** Pictures or windows that are computed at once: more of them save nothing on a CPU, and take memory. */
const batch = 16;

const rememberedPictures = 256;

/** What of a CLIP is used; the library's own types say no more than `any` here. */
interface Parts {
  readonly tokenizer: {
    readonly model_max_length: number;
    encode(text: string, options?: { readonly add_special_tokens?: boolean }): readonly number[];
  };
  readonly processor: { readonly config: unknown };
  readonly vision: (inputs: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>;
  readonly text: (inputs: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>;
}

/** The rows of an output [B, D]. */
function rowsOf(output: unknown, name: string): readonly Float32Array[] {
  if (!(output instanceof transformers.Tensor) || !(output.data instanceof Float32Array)) {
    throw new TypeError(`the CLIP's output ${name} is no float32 tensor`);
  }
  const { data, dims } = output;
  const width = dims.at(-1) ?? 0;
  return Array.from({ length: dims[0] ?? 0 }, (_, i) => data.slice(i * width, (i + 1) * width));
}

async function inBatches<T>(
  items: readonly T[],
  run: (some: readonly T[]) => Promise<readonly Float32Array[]>,
): Promise<readonly Float32Array[]> {
  const rows: Float32Array[] = [];
  for (let at = 0; at < items.length; at += batch) rows.push(...(await run(items.slice(at, at + batch))));
  return rows;
}

/**
 * Loads both halves of a CLIP in float32.
 * @throws UserError when it is none
 */
export async function loadClip(model: string, { remote, threads }: ModelAccess): Promise<ClipModel> {
  const options = {
    dtype: 'fp32',
    local_files_only: !remote,
    session_options: { ...(threads !== undefined && { intraOpNumThreads: threads }) },
  } as const;
  const config = await transformers.AutoConfig.from_pretrained(model, options);
  if (config.model_type !== 'clip') {
    throw new UserError(`${model} is of type ${config.model_type ?? 'unknown'} and no CLIP; name one in clip_model.`);
  }
  const textConfig: unknown = Reflect.get(config, 'text_config');
  const positions: unknown =
    typeof textConfig === 'object' && textConfig !== null ? Reflect.get(textConfig, 'max_position_embeddings') : 77;
  const parts = {
    tokenizer: await transformers.AutoTokenizer.from_pretrained(model, options),
    processor: await transformers.AutoImageProcessor.from_pretrained(model, options),
    vision: await transformers.CLIPVisionModelWithProjection.from_pretrained(model, options),
    text: await transformers.CLIPTextModelWithProjection.from_pretrained(model, options),
  } as unknown as Parts;
  return clipModel(parts, typeof positions === 'number' ? positions : 77);
}

function clipModel({ tokenizer, processor, vision, text }: Parts, positions: number): ClipModel {
  const pixels = clipPixels(processor.config);
  const [begin, end] = tokenizer.encode('');
  if (begin === undefined || end === undefined) throw new TypeError("the CLIP's tokenizer adds no beginning and end");
  // 77 for OpenAI's.
  const length = Math.min(positions, tokenizer.model_max_length) - 2;

  async function embedPictures(pictures: readonly RgbPicture[]): Promise<readonly Float32Array[]> {
    const { height, width } = pixels;
    const data = new Float32Array(pictures.length * 3 * height * width); // [B, 3, H, W]
    for (const [i, picture] of pictures.entries()) data.set(pixels.pixels(picture), i * 3 * height * width);
    const tensor = new transformers.Tensor('float32', data, [pictures.length, 3, height, width]);
    return rowsOf((await vision({ pixel_values: tensor }))['image_embeds'], 'image_embeds');
  }

  async function embedWindows(windows: readonly (readonly number[])[]): Promise<readonly Float32Array[]> {
    const tokens = Math.max(...windows.map((ids) => ids.length)) + 2;
    const ids = new BigInt64Array(windows.length * tokens).fill(BigInt(end ?? 0)); // [B, T], padded by ends as CLIP's are
    const mask = new BigInt64Array(windows.length * tokens);
    for (const [i, window] of windows.entries()) {
      ids.set([begin ?? 0, ...window].map(BigInt), i * tokens);
      mask.fill(1n, i * tokens, i * tokens + window.length + 2);
    }
    const shape = [windows.length, tokens];
    const inputs = {
      input_ids: new transformers.Tensor('int64', ids, shape),
      attention_mask: new transformers.Tensor('int64', mask, shape),
    };
    return rowsOf((await text(inputs))['text_embeds'], 'text_embeds');
  }

  // Captioners finish at different times, and the picture is the dear half of a rating.
  const remembered = new Map<string, Float32Array>();
  async function embeddingsOf(items: readonly PictureTexts[]): Promise<readonly Float32Array[]> {
    const missing = items.filter(
      ({ hash }, i) => !remembered.has(hash) && items.findIndex((item) => item.hash === hash) === i,
    );
    const rows = await inBatches(
      missing.map(({ picture }) => picture),
      embedPictures,
    );
    const fresh = new Map(missing.flatMap(({ hash }, i) => (rows[i] ? [[hash, rows[i]] as const] : [])));
    const found = items.flatMap(({ hash }) => fresh.get(hash) ?? remembered.get(hash) ?? []);
    for (const [hash, row] of fresh) remembered.set(hash, row);
    for (const hash of remembered.keys()) if (remembered.size > rememberedPictures) remembered.delete(hash);
    return found;
  }

  const tokens = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: false });

  async function rate(items: readonly PictureTexts[], window: ClipWindow): Promise<readonly (readonly Rating[])[]> {
    const pictures = await embeddingsOf(items);
    const captions = items.map(({ texts }) =>
      texts.map((caption) => {
        const ids = tokens(caption);
        return { windows: clipWindows(ids, length, window), excess: Math.max(0, ids.length - length) };
      }),
    );
    const embeddings = [
      ...(await inBatches(
        captions.flatMap((of) => of.flatMap(({ windows }) => windows)),
        embedWindows,
      )),
    ];
    return captions.map((of, i) => {
      const picture = pictures[i];
      if (picture === undefined) throw new RangeError(`loadClip: ${pictures.length} of ${items.length} pictures`);
      return of.map(({ windows, excess }) => ({
        score: Math.max(...embeddings.splice(0, windows.length).map((caption) => clipScore(picture, caption))),
        excess,
      }));
    });
  }

  return {
    looksAt: pixels.looksAt,
    rate,
    embed: async (pictures, texts) => ({
      pictures: await inBatches(pictures, embedPictures),
      texts: await inBatches(
        texts.flatMap((text) => clipWindows(tokens(text), length, 'truncate')),
        embedWindows,
      ),
    }),
  };
}
