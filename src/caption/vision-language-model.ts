import * as transformers from '@huggingface/transformers';

import { UserError } from '../errors.ts';
import { isRecord } from '../io/json.ts';
import { pillowFilters, resizeAsPillow, type RgbPicture } from '../metrics/pillow-resize.ts';
import { defaultPrompt } from './default-prompt.ts';
import { pretrainedOptions } from './load-pretrained.ts';
import type { Generation, ModelAccess, WeightsDtype } from './transformers-messages.ts';

/** Says what is on a picture. */
export interface VisionLanguageModel {
  /** Pixels of the shorter side that every picture is scaled to; undefined where that depends on the picture. */
  readonly looksAt: number | undefined;
  say(picture: RgbPicture, generation: Generation): Promise<string>;
}

const florenceTasks = ['<CAPTION>', '<DETAILED_CAPTION>', '<MORE_DETAILED_CAPTION>'];

/** Chat models whose processors take the text before the pictures; the others take the pictures first. */
const textFirst =
  'idefics3 smolvlm qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe qwen3_5 qwen3_5_moe gemma3 gemma3n gemma4 glm_ocr'.split(
    ' ',
  );

/** A model of a type (`model_type` of its config.json). */
export interface LoadedModel {
  readonly type: string;
  readonly parts: Parts;
}

/** The parts of a model as they are used here: what transformers.js returns has looser types than any of this. */
export interface Parts {
  readonly processor: {
    (...inputs: readonly unknown[]): Promise<Readonly<Record<string, unknown>>>;
    readonly image_processor?: { readonly config: Readonly<Record<string, unknown>> };
    apply_chat_template(messages: readonly unknown[], options: object): unknown;
    construct_prompts(text: string): readonly string[];
    post_process_generation(text: string, task: string, size: readonly [number, number]): unknown;
  };
  readonly tokenizer: {
    (text: string): Readonly<Record<string, unknown>>;
    batch_decode(ids: unknown, options: { readonly skip_special_tokens: boolean }): readonly string[];
  };
  readonly model: {
    readonly config: Readonly<Record<string, unknown>>;
    generate(inputs: Readonly<Record<string, unknown>>): Promise<unknown>;
  };
}

/** The size that an image processor brings every picture to, whatever its shape; undefined where there is none such. */
function fixedSize(
  config: Readonly<Record<string, unknown>> | undefined,
): { readonly width: number; readonly height: number; readonly resample: number } | undefined {
  const { size, resample = 2, do_resize: resizes = true } = config ?? {};
  if (resizes !== true || !isRecord(size) || typeof resample !== 'number') return undefined;
  const { width, height } = size;
  return typeof width === 'number' && typeof height === 'number' ? { width, height, resample } : undefined;
}

/** Pixels of a picture's shorter side that a model makes something of; undefined where that depends on the picture. */
export function pixelsSeen({ processor }: Parts): number | undefined {
  const size = fixedSize(processor.image_processor?.config);
  return size && Math.max(size.width, size.height);
}

/** A picture as transformers.js takes it, scaled as the model's training did where that is to one fixed size. */
function rawImage(picture: RgbPicture, { processor }: Parts): transformers.RawImage {
  const size = fixedSize(processor.image_processor?.config);
  const filter = Object.entries(pillowFilters).find(([number]) => Number(number) === size?.resample)?.[1];
  const { data, width, height } = size && filter ? resizeAsPillow(picture, size.width, size.height, filter) : picture;
  return new transformers.RawImage(data, width, height, 3);
}

/** The tokens that came after a prompt of `length` tokens. */
function afterPrompt(output: unknown, inputs: Readonly<Record<string, unknown>>): unknown {
  const { input_ids: ids } = inputs;
  if (!(output instanceof transformers.Tensor) || !(ids instanceof transformers.Tensor)) return output;
  return output.slice(null, [ids.dims.at(-1) ?? 0, output.dims.at(-1) ?? 0]);
}

/** Asks a model in the way that suits its type (`model_type` of its config.json). */
export async function ask(
  type: string,
  parts: Parts,
  picture: RgbPicture,
  { prompt, maxNewTokens }: Generation,
): Promise<string> {
  const { processor, tokenizer, model } = parts;
  const image = rawImage(picture, parts);
  const limits = { max_new_tokens: maxNewTokens, do_sample: false };
  const first = (ids: unknown, skip = true): string =>
    tokenizer.batch_decode(ids, { skip_special_tokens: skip })[0] ?? '';

  if (type === 'vision-encoder-decoder') {
    const { pixel_values: inputs } = await processor(image);
    return first(await model.generate({ inputs, ...limits }));
  }
  if (type === 'florence2') {
    const task = prompt ?? '<MORE_DETAILED_CAPTION>';
    if (!florenceTasks.includes(task)) {
      throw new UserError(`Florence-2 was asked ${JSON.stringify(task)}; it captions by ${florenceTasks.join(', ')}.`);
    }
    const inputs = await processor(image, processor.construct_prompts(task));
    const said = first(await model.generate({ ...inputs, ...limits }), false);
    const answer = processor.post_process_generation(said, task, [picture.height, picture.width]);
    const text = isRecord(answer) ? answer[task] : undefined;
    return typeof text === 'string' ? text.replace(/<pad>/g, '') : '';
  }
  if (type === 'moondream1') {
    // The words that moondream was trained to be asked by, with a place for each of the picture's embeddings.
    const { num_image_tokens: places } = model.config;
    const images = '<image>'.repeat(typeof places === 'number' ? places : 1);
    const inputs = tokenizer(`${images}\n\nQuestion: ${prompt ?? defaultPrompt}\n\nAnswer:`);
    const pixels = await processor(image);
    return first(afterPrompt(await model.generate({ ...inputs, ...pixels, ...limits }), inputs));
  }
  const content = [{ type: 'image' }, { type: 'text', text: prompt ?? defaultPrompt }];
  const text = processor.apply_chat_template([{ role: 'user', content }], { add_generation_prompt: true });
  const inputs = await (textFirst.includes(type) ? processor(text, [image]) : processor([image], text));
  return first(afterPrompt(await model.generate({ ...inputs, ...limits }), inputs));
}

/**
 * Loads the parts of a vision-language model that transformers.js runs.
 * @throws UserError when it runs none of that type
 */
export async function loadParts(model: string, dtype: WeightsDtype, access: ModelAccess): Promise<LoadedModel> {
  const config = await transformers.AutoConfig.from_pretrained(model, { local_files_only: !access.remote });
  const type = config.model_type ?? '';
  const Model =
    type === 'vision-encoder-decoder' ? transformers.AutoModelForVision2Seq : transformers.AutoModelForImageTextToText;
  if (!Model.supports(type)) {
    throw new UserError(
      `${model} is of type ${type === '' ? 'unknown' : type}, which transformers.js does not caption with (BLIP is one of those); use Florence-2, SmolVLM, Moondream or ViT-GPT2, or a server (type: openai).`,
    );
  }
  const options = await pretrainedOptions(model, dtype, access);
  // The library's own types are of `any` kind here; what is used of them is in Parts.
  const parts = {
    processor: await transformers.AutoProcessor.from_pretrained(model, options),
    tokenizer: await transformers.AutoTokenizer.from_pretrained(model, options),
    model: await Model.from_pretrained(model, options),
  } as unknown as Parts;
  return { type, parts };
}

/** Loads a captioner: image-to-text (ViT-GPT2), Florence-2, Moondream, and chat models such as SmolVLM. */
export async function loadVisionLanguageModel(
  model: string,
  dtype: WeightsDtype,
  access: ModelAccess,
): Promise<VisionLanguageModel> {
  const { type, parts } = await loadParts(model, dtype, access);
  return { looksAt: pixelsSeen(parts), say: (picture, generation) => ask(type, parts, picture, generation) };
}
