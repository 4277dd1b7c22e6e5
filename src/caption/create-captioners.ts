import { basename } from 'node:path';

import { captionOfFileName } from '../../datasets/find-captions.ts';
import type { CaptionConfig, CaptionerConfig } from '../config/schema.ts';
import { UserError } from '../errors.ts';
import { chosenClip, findTransformersModel } from './bundled-models.ts';
import type { Captioner, CaptionFunction, PictureToCaption } from './captioner.ts';
import { createNvlabsReader } from './nvlabs-files.ts';
import { createOpenaiCaptioner } from './openai-captioner.ts';
import type { TransformersClient } from './transformers-client.ts';
import type { Rating } from './transformers-messages.ts';

/** Rates texts for a picture. */
export interface Rater {
  /** The CLIP and how it reads long texts: ratings of another rater are no ratings of this one. */
  readonly key: string;
  rate(picture: Pick<PictureToCaption, 'hash' | 'pixels'>, texts: readonly string[]): Promise<readonly Rating[]>;
}

/** The name of a captioner that has none in its config: the end of its model's, or its type. */
export function captionerName(config: CaptionerConfig): string {
  if (config.name !== undefined) return config.name;
  if (!('model' in config)) return config.type;
  const name = basename(config.model.replaceAll('\\', '/')).replace(/[^\w.-]+/g, '-');
  return name === '' ? config.type : name;
}

/** What decides a captioner's words, and the function. */
type Source = Pick<Captioner, 'settings' | 'keep' | 'caption'>;

async function transformersSource(
  config: Extract<CaptionerConfig, { type: 'transformers' }>,
  client: TransformersClient,
): Promise<Source> {
  const { location, key } = await findTransformersModel(config.model);
  const { prompt, max_new_tokens: maxNewTokens, dtype } = config;
  const generation = { ...(prompt !== undefined && { prompt }), maxNewTokens };
  const caption: CaptionFunction = async ({ pixels }, signal) => {
    const looksAt = await client.load('captioner', location, dtype);
    const picture = await pixels(looksAt);
    signal?.throwIfAborted();
    return [await client.caption(location, picture, generation)];
  };
  const settings = { model: key, dtype, max_new_tokens: maxNewTokens, ...(prompt !== undefined && { prompt }) };
  return { settings: { type: config.type, ...settings }, keep: true, caption };
}

function openaiSource(
  config: Extract<CaptionerConfig, { type: 'openai' }>,
  env: Readonly<Record<string, string | undefined>>,
): Source {
  const apiKey = env[config.api_key_env];
  const { model, prompt, temperature, max_new_tokens, max_image_size } = config;
  const words = { model, temperature, max_new_tokens, max_image_size, ...(prompt !== undefined && { prompt }) };
  const caption = createOpenaiCaptioner({
    baseUrl: config.base_url,
    model,
    ...(prompt !== undefined && { prompt }),
    ...(apiKey !== undefined && apiKey !== '' && { apiKey }),
    temperature,
    maxNewTokens: max_new_tokens,
    maxImageSize: max_image_size,
    maxConcurrentRequests: config.max_concurrent_requests,
    timeoutSeconds: config.timeout_seconds,
    maxRetries: config.max_retries,
  });
  return { settings: { type: config.type, base_url: config.base_url, ...words }, keep: true, caption };
}

/** @param own its name, which several files may have with numbers */
function existingSource(names: readonly string[], own: string): Source {
  const read = createNvlabsReader();
  return {
    settings: { type: 'existing' },
    keep: false,
    async caption({ path, existing }) {
      // Files that an earlier run wrote are not captions of one's own.
      const beside = (await read(path)).filter(
        ({ source = '' }) => !names.includes(source) && source.replace(/-\d+$/, '') !== own,
      );
      // None is no failure: not every picture needs one of these.
      return [...new Set([...existing, ...beside.map(({ text }) => text)])].filter((text) => text !== '');
    },
  };
}

function templateSource({ template }: Extract<CaptionerConfig, { type: 'template' }>): Source {
  return {
    settings: { type: 'template', template },
    keep: false,
    caption: ({ path, triggerWord }) =>
      Promise.resolve([
        template.replaceAll('[trigger]', triggerWord).replaceAll('[filename]', captionOfFileName(basename(path))),
      ]),
  };
}

/**
 * The captioners that a config asks for. Models are loaded with the first picture that needs them.
 * @throws UserError when two share a name, or a model's folder is none
 */
export async function createCaptioners(
  { captioners, remove_boilerplate: removeBoilerplate }: CaptionConfig,
  client: TransformersClient,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<readonly Captioner[]> {
  const names = captioners.map(captionerName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UserError(`Two captioners are called ${twice}; give one of them a name of its own (name: ${twice}-2).`);
  }
  async function sourceOf(config: CaptionerConfig, name: string): Promise<Source> {
    switch (config.type) {
      case 'transformers':
        return await transformersSource(config, client);
      case 'openai':
        return openaiSource(config, env);
      case 'existing':
        return existingSource(names, name);
      case 'template':
        return templateSource(config);
    }
  }
  return await Promise.all(
    captioners.map(async (config, i) => ({
      name: names[i] ?? config.type,
      ...(await sourceOf(config, names[i] ?? config.type)),
      // A person's own words are theirs.
      polish: {
        removeBoilerplate: removeBoilerplate && (config.type === 'transformers' || config.type === 'openai'),
        remove: config.remove,
        maxWords: config.max_words,
      },
      prefix: config.prefix,
      suffix: config.suffix,
    })),
  );
}

/** The one that captions are rated by in Sana's paper: ViT-L/14. */
const largeClip = 'Xenova/clip-vit-large-patch14';

/**
 * The CLIP that a config asks for; undefined for none.
 * @param baseModel the model that is trained: sana-pico has a CLIP of its own world
 */
export async function createRater(
  { clip_model: name, clip_window: window }: CaptionConfig,
  baseModel: string,
  client: TransformersClient,
): Promise<Rater | undefined> {
  const chosen = chosenClip(name, baseModel) ?? largeClip;
  if (chosen === 'none') return undefined;
  const { location, key } = await findTransformersModel(chosen);
  return {
    key: `${key}, ${window} window`,
    async rate({ hash, pixels }, texts) {
      const looksAt = await client.load('clip', location, 'fp32');
      return await client.score(location, { hash, picture: await pixels(looksAt), texts }, window);
    },
  };
}
