import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { UserError } from '../errors.ts';
import { checkClass } from '../io/checkpoint.ts';
import { errorCode, fileError } from '../io/file-error.ts';
import { isRecord, quoted, readJsonObject } from '../io/json.ts';
import { parsePythonJson } from '../io/python-json.ts';
import { parseDcAeConfig, type DcAeConfig } from '../models/dc-ae-config.ts';
import { type DcAe, type DcAeOptions, loadDcAe } from '../models/dc-ae.ts';
import type { PromptEncoder } from '../models/encode-prompts.ts';
import { loadGemma2 } from '../models/gemma2.ts';
import { loadSanaTransformer, type SanaTransformer } from '../models/load-sana-transformer.ts';
import { parseSanaTransformerConfig, type SanaTransformerConfig } from '../models/sana-transformer-config.ts';
import { loadTokenizer } from '../text/tokenizer.ts';

/**
 * A SanaPipeline's folder in diffusers' layout. Its configs are read and checked; weights are opened by the functions,
 * and are in memory only while an engine holds them.
 */
export interface SanaPipeline {
  readonly folder: string;
  readonly transformerConfig: SanaTransformerConfig;
  readonly vaeConfig: DcAeConfig;
  /** The parsed scheduler_config.json, for solverFromConfig, and its path. */
  readonly scheduler: { readonly config: unknown; readonly path: string };
  /** Height and width of a picture that the model was trained for, in pixels. */
  readonly defaultSize: number;
  /** What height and width of every picture are multiples of, in pixels. */
  readonly sizeMultiple: number;
  /** How the autoencoder goes about large pictures. */
  readonly vaeOptions: DcAeOptions;
  readonly loadTransformer: () => Promise<SanaTransformer>;
  readonly loadVae: () => Promise<DcAe>;
  readonly loadPromptEncoder: () => Promise<PromptEncoder>;
}

/** How a pipeline's folder is read. */
export interface OpenPipelineOptions {
  /** Weights of this variant where there are any, such as 'fp16': see openCheckpoint. */
  readonly variant?: string;
  /** How the autoencoder goes about large pictures. @default createDcAe's own */
  readonly vaeOptions?: DcAeOptions;
}

/** The parts by their folders' names, which are fixed: nothing that model_index.json says becomes a path. */
const partClasses = {
  transformer: ['SanaTransformer2DModel'],
  vae: ['AutoencoderDC'],
  text_encoder: ['Gemma2Model', 'Gemma2ForCausalLM'],
  // The tokenizer's file says what it is; its class only says which version of transformers wrote it.
  tokenizer: undefined,
  scheduler: ['DPMSolverMultistepScheduler', 'FlowMatchEulerDiscreteScheduler', 'UniPCMultistepScheduler'],
} as const;

/**
 * Opens a SanaPipeline's folder: model_index.json, the parts that it names and their configs; no weights yet.
 * @throws UserError for another class of pipeline, a part that is missing, of another class or does not fit the others
 */
export async function openPipeline(folder: string, options: OpenPipelineOptions = {}): Promise<SanaPipeline> {
  const names = await listFolder(folder);
  await checkIndex(folder, names);

  const [transformerPath, vaePath] = [join(folder, 'transformer', 'config.json'), join(folder, 'vae', 'config.json')];
  const transformer = await readJsonObject(transformerPath);
  checkClass({ config: transformer, configPath: transformerPath }, '_class_name', partClasses.transformer);
  const transformerConfig = parseSanaTransformerConfig(transformer, transformerPath);
  const vae = await readJsonObject(vaePath);
  checkClass({ config: vae, configPath: vaePath }, '_class_name', partClasses.vae);
  const vaeConfig = parseDcAeConfig(vae, vaePath);
  if (vaeConfig.latentChannels !== transformerConfig.in_channels) {
    throw new UserError(
      `${folder}: the transformer takes latents of ${transformerConfig.in_channels} channels and the vae makes ${vaeConfig.latentChannels}; use the parts of one model.`,
    );
  }
  const schedulerPath = join(folder, 'scheduler', 'scheduler_config.json');
  const scheduler = { config: await readScheduler(schedulerPath), path: schedulerPath };

  return {
    folder,
    transformerConfig,
    vaeConfig,
    scheduler,
    defaultSize: transformerConfig.sample_size * vaeConfig.spatialCompression,
    sizeMultiple: transformerConfig.patch_size * vaeConfig.spatialCompression,
    vaeOptions: options.vaeOptions ?? {},
    loadTransformer: once(() => loadSanaTransformer(join(folder, 'transformer'), options)),
    loadVae: once(() => loadDcAe(join(folder, 'vae'), options)),
    loadPromptEncoder: once(async () => {
      const textEncoder = await loadGemma2(join(folder, 'text_encoder'), options);
      const { hidden_size: width } = textEncoder.config;
      if (width !== transformerConfig.caption_channels) {
        throw new UserError(
          `${folder}: the transformer takes text of ${transformerConfig.caption_channels} channels and the text encoder makes ${width}; use the parts of one model.`,
        );
      }
      return { textEncoder, tokenizer: await loadTokenizer(join(folder, 'tokenizer')) };
    }),
  };
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw new UserError(`There is no folder ${folder}; check the path.`);
    if (errorCode(error) === 'ENOTDIR') {
      throw new UserError(`${folder} is a file; name a pipeline's folder in diffusers' layout.`);
    }
    throw fileError(error, 'read', folder);
  }
}

async function checkIndex(folder: string, names: readonly string[]): Promise<void> {
  if (!names.includes('model_index.json')) {
    const hint = names.includes('config.json') ? 'It is one part of a pipeline; name the folder around it.' : '';
    throw new UserError(
      `${folder} has no model_index.json, so it is no pipeline in diffusers' layout. ${hint || 'Name a folder that SanaPipeline.save_pretrained wrote, or a downloaded repository of that kind.'}`,
    );
  }
  const indexPath = join(folder, 'model_index.json');
  const index = await readJsonObject(indexPath);
  const { _class_name: className } = index;
  if (className !== 'SanaPipeline') {
    const found = typeof className === 'string' ? `is of a ${quoted(className)}` : 'names no _class_name';
    throw new UserError(`${indexPath} ${found}; only SanaPipeline is supported: use such a model.`);
  }
  const problems = Object.entries(partClasses).flatMap(([part, classes]) => {
    const entry = index[part];
    const [, name] = Array.isArray(entry) ? (entry as readonly unknown[]) : [];
    if (entry === undefined || name === null) return [`it has no ${part}`];
    if (typeof name !== 'string') return [`${part} is ${quoted(JSON.stringify(entry))}, not a library and a class`];
    if (classes !== undefined && !(classes as readonly string[]).includes(name)) {
      return [`${part} is a ${quoted(name)} and not a ${classes.join(' or ')}`];
    }
    return names.includes(part) ? [] : [`the folder ${part} is missing`];
  });
  if (problems.length > 0) {
    throw new UserError(`${indexPath}: ${problems.join('; ')}. Download the whole model again, or use another.`);
  }
}

async function readScheduler(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  let config: unknown;
  try {
    config = parsePythonJson(text);
  } catch (cause) {
    throw new UserError(`${path} is not JSON; download it again.`, { cause });
  }
  if (!isRecord(config)) throw new UserError(`${path} does not hold a JSON object; download it again.`);
  return config;
}

/** Calls a function when it is first asked for, and again only if that failed. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
