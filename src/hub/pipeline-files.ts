import { UserError } from '../errors.ts';
import { chooseWeights } from '../io/checkpoint.ts';
import { isRecord } from '../io/json.ts';

/** The parts of a pipeline that have weights, and what their files are called. */
const weightParts = [
  { part: 'transformer', baseName: 'diffusion_pytorch_model' },
  { part: 'vae', baseName: undefined },
  { part: 'text_encoder', baseName: 'model' },
] as const;

/** What openPipeline and loadTokenizer read beside weights. */
const configFiles = [
  'model_index.json',
  'transformer/config.json',
  'vae/config.json',
  'text_encoder/config.json',
  'tokenizer/tokenizer.json',
  'tokenizer/tokenizer_config.json',
  'scheduler/scheduler_config.json',
] as const;

/** Files of a pipeline in diffusers' layout. */
export interface PipelineFiles {
  /** Small files: configs, the tokenizer, and lists of shards. */
  readonly configs: readonly string[];
  /** Lists of shards, among the configs; {@link shardsOf} reads what they name. */
  readonly indexes: readonly string[];
  /** Weights in one file. */
  readonly weights: readonly string[];
}

/** A name as a part's folder may hold it: nothing that leads out of it. */
const plainName = /^[\w][\w.-]*$/;

/**
 * The files that a pipeline is opened with, of all that a repository has: neither pickled weights nor other variants.
 * @param repository what messages call it
 * @param names paths in the repository
 * @param variant such as 'fp16'; parts that lack it are taken without, as openCheckpoint does
 * @throws UserError when it is no such pipeline, or no part has the variant
 */
export function pipelineFiles(
  repository: string,
  names: readonly string[],
  variant: string | undefined,
): PipelineFiles {
  if (!names.includes('model_index.json')) {
    throw new UserError(
      `${repository} has no model_index.json, so it is no pipeline in diffusers' layout; use the repository of the same model whose name ends in _diffusers.`,
    );
  }
  const missing = configFiles.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new UserError(`${repository} lacks ${missing.join(', ')}, so it is no whole Sana pipeline; use another.`);
  }
  const chosen = weightParts.map(({ part, baseName }) => {
    const own = names.filter((name) => name.startsWith(`${part}/`)).map((name) => name.slice(part.length + 1));
    const options = { ...(baseName && { baseName }), ...(variant !== undefined && { variant }) };
    const choice = chooseWeights(`${repository}/${part}`, own.filter((name) => plainName.test(name)).sort(), options);
    return { ...choice, path: `${part}/${choice.file}` };
  });
  if (variant !== undefined && !chosen.some((choice) => choice.variant === variant)) {
    const found = [...new Set(names.flatMap((name) => /\.(fp16|bf16|fp32|int8)[.-]/.exec(name)?.[1] ?? []))].sort();
    const others = found.length > 0 ? `it has ${found.join(', ')}: use that, or` : 'it has none:';
    throw new UserError(`${repository} has no files of the variant ${variant}; ${others} leave the variant out.`);
  }
  const indexes = chosen.map(({ path }) => path).filter((path) => path.endsWith('.json'));
  return {
    configs: [...configFiles, ...indexes],
    indexes,
    weights: chosen.map(({ path }) => path).filter((path) => !path.endsWith('.json')),
  };
}

/**
 * The shards that a parsed list of them names, as paths in the repository.
 * @param path the list's own path
 * @throws UserError when it is none, or names a file that is not beside it
 */
export function shardsOf(path: string, index: unknown): readonly string[] {
  const map = isRecord(index) ? index['weight_map'] : undefined;
  const names = isRecord(map) ? [...new Set(Object.values(map))] : [];
  if (names.length === 0) throw new UserError(`${path} has no weight_map that lists the tensors.`);
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  return names.map((name) => {
    if (typeof name !== 'string' || !plainName.test(name) || !name.endsWith('.safetensors')) {
      throw new UserError(`${path} names ${JSON.stringify(name)}, which is not a safetensors file in its folder.`);
    }
    return `${folder}${name}`;
  });
}
