import { z } from 'zod';

import { UserError } from '../errors.ts';
import { fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../io/safetensors.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import {
  type AdaptedModule,
  type AdaptedModules,
  adapterScale,
  parameterShapes,
  patternValue,
} from './adapter-config.ts';

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
  r: z.number().positive(),
  lora_alpha: z.number(),
  alpha_pattern: z.record(z.string(), z.number()).default({}),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
});

function parseMetadata(path: string, text: string | undefined): z.output<typeof metadataSchema> | undefined {
  if (text === undefined) return undefined;
  try {
    const flat = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    const own = Object.entries(flat).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    );
    return metadataSchema.parse(Object.fromEntries(own));
  } catch (error) {
    const reason =
      error instanceof z.ZodError
        ? error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
        : 'it is no JSON';
    throw new UserError(`${path}: the header's ${metadataKey} cannot be read (${reason}); export the adapter again.`);
  }
}

/**
 * Reads an adapter in diffusers' format, for a model that has `modules`.
 * Without metadata the scale is 1, as diffusers takes it.
 *
 * @throws UserError naming tensors that are unknown, missing or of the wrong shape
 */
export async function readAdapter(path: string, modules: ReadonlyMap<string, SanaModule>): Promise<Adapter> {
  const file = await openSafetensors(path);
  const metadata = parseMetadata(path, file.metadata[metadataKey]);
  const adapted = new Map<string, AdaptedModule>();
  const expected = new Map<string, readonly number[]>();
  for (const [name, module] of modules) {
    const a = file.tensors.get(`${prefix}${name}.lora_A.weight`);
    if (!a) continue;
    const [rank = 0] = a.shape;
    if (rank < 1)
      throw new UserError(`${path}: lora_A of ${name} has shape [${a.shape.join(', ')}], which has no rank.`);
    const alpha = metadata ? (patternValue(metadata.alpha_pattern, name) ?? metadata.lora_alpha) : rank;
    const dora = file.tensors.has(`${prefix}${name}.lora_magnitude_vector`);
    const entry: AdaptedModule = {
      ...module,
      rank,
      alpha,
      scale: adapterScale(alpha, rank, metadata?.use_rslora ?? false),
      dora,
      dropout: 0,
    };
    adapted.set(name, entry);
    for (const [parameter, shape] of parameterShapes(name, entry)) expected.set(parameter, shape);
  }
  const unknown = [...file.tensors.keys()].filter((name) => !expected.has(name));
  if (adapted.size === 0 || unknown.length > 0) {
    const names = unknown.slice(0, 5).join(', ') + (unknown.length > 5 ? ` and ${unknown.length - 5} more` : '');
    throw new UserError(
      `${path} is no adapter of this model in diffusers' format: ${adapted.size === 0 ? 'no module of the model is in it' : `it has no place for ${names}`}.`,
    );
  }
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of expected) {
    const location = file.tensors.get(name);
    if (!location || location.shape.join() !== shape.join()) {
      throw new UserError(
        `${path}: ${name} is ${location ? `[${location.shape.join(', ')}]` : 'missing'}, expected [${shape.join(', ')}]; the adapter is of another model.`,
      );
    }
    tensors.set(name, await readTensor(location));
  }
  return { modules: adapted, tensors };
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
    ...(entries.some(([, module]) => module.dora) && { use_dora: true }),
    ...(rslora && { use_rslora: true }),
  };
  return JSON.stringify(Object.fromEntries(Object.entries(config).map(([key, value]) => [prefix + key, value])));
}

/** Writes an adapter as diffusers' SanaPipeline.save_lora_weights does, so that load_lora_weights reads it. */
export async function writeAdapter(
  path: string,
  { modules, tensors }: Adapter,
  { rslora = false, dtype = 'float32' }: WriteAdapterOptions = {},
): Promise<void> {
  const converted = [...tensors].map(
    ([name, value]) => [name, fromFloat32(dtype, value.shape, toFloat32(value))] as const,
  );
  await writeSafetensors(path, converted, {
    metadata: { format: 'pt', [metadataKey]: adapterMetadata(modules, rslora) },
  });
}
