import { z } from 'zod';

import { UserError } from '../errors.ts';
import { quoted } from '../io/json.ts';
import { type AdaptedModule, type AdaptedModules, adapterScale } from './adapter-config.ts';
import { compilePattern } from './module-pattern.ts';

/** Where a file's metadata has the header. */
export const headerKey = 'lora_adapter_metadata';

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

/** What an adapter file's header says of each module. */
export interface AdapterHeader {
  rankOf(module: string): number;
  alphaOf(module: string): number;
  readonly rslora: boolean;
  readonly dora: boolean;
}

/**
 * Reads the header that diffusers 0.34 and later write: peft's LoraConfig as flat JSON.
 * @throws UserError naming the file and what cannot be read, or asks for more than is computed here
 */
export function parseAdapterHeader(path: string, text: string): AdapterHeader {
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
    throw new UserError(`${path}: the header's ${headerKey} cannot be read (${reason}); export the adapter again.`);
  }
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
export function adapterHeader(modules: AdaptedModules, rslora: boolean): string {
  const entries = [...modules];
  const doras = new Set(entries.map(([, module]) => module.dora));
  if (doras.size > 1)
    throw new RangeError('adapterHeader: some modules are DoRA and some are not; a file has one kind');
  for (const [name, { alpha, rank, scale }] of entries) {
    const said = adapterScale(alpha, rank, rslora);
    if (Math.abs(said - scale) > 1e-9 * Math.abs(scale)) {
      throw new RangeError(`adapterHeader: ${name} has scale ${scale}, and the header would say ${said}`);
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
