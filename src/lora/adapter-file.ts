import { z } from 'zod';

import { UserError } from '../errors.ts';
import { fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { quoted } from '../io/json.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../io/safetensors.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import { type AdaptedModule, type AdaptedModules, adapterScale, parameterShapes } from './adapter-config.ts';
import { compilePattern } from './module-pattern.ts';

/** An adapter in memory: what it adapts and its tensors by their names in diffusers' file. */
export interface Adapter {
  readonly modules: AdaptedModules;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** The file name that diffusers looks for in a folder. */
export const adapterFileName = 'pytorch_lora_weights.safetensors';

const metadataKey = 'lora_adapter_metadata';
const prefix = 'transformer.';

const metadataSchema = z.object({
  r: z.int().positive(),
  lora_alpha: z.number(),
  rank_pattern: z.record(z.string(), z.int().positive()).default({}),
  alpha_pattern: z.record(z.string(), z.number()).default({}),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  // Others, such as pissa, change the weights that the adapter is added to.
  init_lora_weights: z.union([z.boolean(), z.enum(['gaussian', 'eva', 'orthogonal'])]).default(true),
});

// Fields of peft's LoraConfig that do not change what a trained adapter computes. One that is set and not known may
// change it: diffusers refuses those too.
const idleFields = new Set(
  (
    'task_type peft_type peft_version auto_mapping base_model_name_or_path revision inference_mode target_modules ' +
    'exclude_modules lora_dropout bias modules_to_save layers_to_transform layers_pattern megatron_config megatron_core ' +
    'trainable_token_indices loftq_config eva_config corda_config lora_ga_config velora_config qalora_group_size ' +
    'target_parameters ensure_weight_tying runtime_config'
  ).split(' '),
);

/** Whether a field of a header has a value other than nothing. */
function isSet(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** What a header says of each module; undefined where there is none, as in files of diffusers before 0.34. */
interface AdapterHeader {
  rankOf(module: string): number;
  alphaOf(module: string): number;
  readonly rslora: boolean;
  readonly dora: boolean;
}

function parseMetadata(path: string, text: string | undefined): AdapterHeader | undefined {
  if (text === undefined) return undefined;
  try {
    const flat = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    const own = Object.entries(flat).flatMap(([key, value]): [string, unknown][] =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    );
    const metadata = metadataSchema.parse(Object.fromEntries(own));
    const strange = own.find(([key, value]) => !Object.hasOwn(metadata, key) && !idleFields.has(key) && isSet(value));
    if (strange) throw new UserError(`${quoted(strange[0])} is set, which is not known here`);
    const rankOf = compilePattern(metadata.rank_pattern, 'rank_pattern');
    const alphaOf = compilePattern(metadata.alpha_pattern, 'alpha_pattern');
    return {
      rankOf: (module) => rankOf(module) ?? metadata.r,
      alphaOf: (module) => alphaOf(module) ?? metadata.lora_alpha,
      rslora: metadata.use_rslora,
      dora: metadata.use_dora,
    };
  } catch (error) {
    let reason = 'it is no JSON';
    if (error instanceof UserError) reason = error.message.replace(/\.$/, '');
    if (error instanceof z.ZodError) {
      const issues = error.issues.slice(0, 5).map((issue) => `${quoted(issue.path.join('.'))}: ${issue.message}`);
      reason = issues.join('; ');
    }
    throw new UserError(`${path}: the header's ${metadataKey} cannot be read (${reason}); export the adapter again.`);
  }
}

/** Some names of a file for a message, and how many more there are. */
function listed(names: readonly string[]): string {
  return names.slice(0, 5).map(quoted).join(', ') + (names.length > 5 ? ` and ${names.length - 5} more` : '');
}

/**
 * Reads an adapter in diffusers' format, for a model that has `modules`.
 * Without metadata the scale is 1, as diffusers takes it.
 *
 * @throws UserError naming tensors that are unknown, missing, of the wrong shape or dtype, or not finite, and headers
 *   that say something else than the tensors
 */
export async function readAdapter(path: string, modules: ReadonlyMap<string, SanaModule>): Promise<Adapter> {
  const file = await openSafetensors(path);
  const header = parseMetadata(path, file.metadata[metadataKey]);
  const names = [...file.tensors.keys()];
  const hasMagnitudes = names.some((name) => name.endsWith('.lora_magnitude_vector'));
  // diffusers would leave the magnitudes out, or begin with those of the model: neither is what was trained.
  if (header && header.dora !== hasMagnitudes) {
    throw new UserError(
      `${path}: the header says use_dora ${header.dora}, but there are ${hasMagnitudes ? '' : 'no '}magnitudes; export the adapter again.`,
    );
  }
  const adapted = new Map<string, AdaptedModule>();
  const expected = new Map<string, readonly number[]>();
  for (const [name, module] of modules) {
    const a = file.tensors.get(`${prefix}${name}.lora_A.weight`);
    if (!a) continue;
    const [rank = 0] = a.shape;
    if (rank < 1)
      throw new UserError(`${path}: lora_A of ${name} has shape [${a.shape.join(', ')}], which has no rank.`);
    if (header && header.rankOf(name) !== rank) {
      throw new UserError(
        `${path}: the header says rank ${header.rankOf(name)} for ${name}, whose lora_A has ${rank} rows; export the adapter again.`,
      );
    }
    const alpha = header?.alphaOf(name) ?? rank;
    const scale = adapterScale(alpha, rank, header?.rslora ?? false);
    const entry: AdaptedModule = { ...module, rank, alpha, scale, dora: hasMagnitudes, dropout: 0 };
    adapted.set(name, entry);
    for (const [parameter, shape] of parameterShapes(name, entry)) expected.set(parameter, shape);
  }
  const unknown = names.filter((name) => !expected.has(name));
  if (adapted.size === 0) {
    throw new UserError(
      `${path} is no adapter of this model in diffusers' format: it has ${listed(names)}, and none of the names that diffusers gives, such as transformer.transformer_blocks.0.attn1.to_q.lora_A.weight.`,
    );
  }
  if (unknown.length > 0) {
    throw new UserError(
      `${path} is no adapter of this model in diffusers' format: the model has no place for ${listed(unknown)}.`,
    );
  }
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of expected) {
    const location = file.tensors.get(name);
    if (!location || location.shape.join() !== shape.join()) {
      throw new UserError(
        `${path}: ${name} is ${location ? `[${location.shape.join(', ')}]` : 'missing'}, expected [${shape.join(', ')}]; the adapter is of another model.`,
      );
    }
    if (!['float32', 'float16', 'bfloat16'].includes(location.dtype)) {
      throw new UserError(`${path}: ${name} is of ${location.dtype}, expected float32, float16 or bfloat16.`);
    }
    weights.set(name, await readTensor(location));
  }
  await assertFinite(file.tensors);
  return { modules: adapted, tensors: weights };
}

/** What to write into an adapter file besides its tensors. */
export interface WriteAdapterOptions {
  readonly rslora?: boolean;
  /** @default 'float32' */
  readonly dtype?: 'float32' | 'float16' | 'bfloat16';
}

/** The most frequent of some values: what goes into a header as the rule, the others being its exceptions. */
function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [1, 0])[0];
}

/**
 * The header that diffusers 0.34 and later read: peft's LoraConfig as flat JSON. Only fields that every version since
 * then knows, since an unknown one fails the load.
 */
export function adapterMetadata(modules: AdaptedModules, rslora: boolean): string {
  const entries = [...modules];
  const doras = new Set(entries.map(([, module]) => module.dora));
  if (doras.size > 1)
    throw new RangeError('adapterMetadata: some modules are DoRA and some are not; a file has one kind');
  for (const [name, { alpha, rank, scale }] of entries) {
    const said = adapterScale(alpha, rank, rslora);
    if (Math.abs(said - scale) > 1e-9 * Math.abs(scale)) {
      throw new RangeError(`adapterMetadata: ${name} has scale ${scale}, and the header would say ${said}`);
    }
  }
  const rank = mostFrequent(entries.map(([, module]) => module.rank));
  const alpha = mostFrequent(entries.map(([, module]) => module.alpha));
  const exceptions = (pick: (module: AdaptedModule) => number, rule: number): Record<string, number> =>
    Object.fromEntries(entries.flatMap(([name, module]) => (pick(module) === rule ? [] : [[name, pick(module)]])));
  const config = {
    r: rank,
    lora_alpha: alpha,
    rank_pattern: exceptions((module) => module.rank, rank),
    alpha_pattern: exceptions((module) => module.alpha, alpha),
    target_modules: entries.map(([name]) => name),
    ...(doras.has(true) && { use_dora: true }),
    ...(rslora && { use_rslora: true }),
  };
  return JSON.stringify(Object.fromEntries(Object.entries(config).map(([key, value]) => [prefix + key, value])));
}

/**
 * Writes an adapter as diffusers' SanaPipeline.save_lora_weights does, so that load_lora_weights reads it.
 * @throws UserError when a number does not fit the dtype
 */
export async function writeAdapter(
  path: string,
  { modules, tensors }: Adapter,
  { rslora = false, dtype = 'float32' }: WriteAdapterOptions = {},
): Promise<void> {
  const converted = new Map<string, Tensor>();
  for (const [name, value] of tensors) converted.set(name, fromFloat32(dtype, value.shape, toFloat32(value)));
  const broken = [...converted].find(([, value]) => !toFloat32(value).every(Number.isFinite));
  if (broken) {
    throw new UserError(
      `${path} was not written: ${broken[0]} holds NaN or a number that ${dtype} cannot hold${dtype === 'float16' ? '; write bfloat16 or float32' : ''}.`,
    );
  }
  await writeSafetensors(path, converted, {
    metadata: { format: 'pt', [metadataKey]: adapterMetadata(modules, rslora) },
  });
}
