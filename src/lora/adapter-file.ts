import { UserError } from '../errors.ts';
import { float32, fromFloat32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { quoted } from '../io/json.ts';
import { openSafetensors, readTensor, writeSafetensors } from '../io/safetensors.ts';
import type { SanaModule } from '../models/sana-transformer-config.ts';
import {
  type AdaptedModule,
  type AdaptedModules,
  adapterScale,
  parameterName,
  parameterShapes,
} from './adapter-config.ts';
import { adapterHeader, headerKey, parseAdapterHeader } from './adapter-header.ts';

/** An adapter in memory: what it adapts and its tensors by their names in diffusers' file. */
export interface Adapter {
  readonly modules: AdaptedModules;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** What stands before a module's name in diffusers' file. */
const prefix = 'transformer.';

/** The file name that diffusers looks for in a folder. */
export const adapterFileName = 'pytorch_lora_weights.safetensors';

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
  const text = file.metadata[headerKey];
  const header = text === undefined ? undefined : parseAdapterHeader(path, text);
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

/**
 * Writes an adapter as diffusers' SanaPipeline.save_lora_weights does, so that load_lora_weights reads it; one with LoKr
 * or LoHa in it by LyCORIS' names, every layer with its alpha.
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
  const isLycoris = [...modules.values()].some(({ lycoris }) => lycoris !== undefined);
  if (isLycoris) for (const [name, value] of alphasOf(modules)) converted.set(name, value);
  await writeSafetensors(path, converted, {
    metadata: { format: 'pt', ...(!isLycoris && { [headerKey]: adapterHeader(modules, rslora) }) },
  });
}

function* alphasOf(modules: AdaptedModules): Generator<readonly [string, Tensor]> {
  for (const [name, { rank, scale, lycoris }] of modules) {
    const base = lycoris ? parameterName(name, 'lokr_w1').replace(/\.lokr_w1$/, '') : prefix + name;
    yield [`${base}.alpha`, float32([], [scale * rank])];
  }
}
