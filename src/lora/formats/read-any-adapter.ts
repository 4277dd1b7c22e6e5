import { UserError } from '../../errors.ts';
import { float32 } from '../../graph/tensor.ts';
import { quoted } from '../../io/json.ts';
import { openSafetensors } from '../../io/safetensors.ts';
import type { SanaModule } from '../../models/sana-transformer-config.ts';
import type { Params } from '../../optim/optimizer.ts';
import {
  type AdaptedModule,
  adapterScale,
  type AdapterPart,
  parameterName,
  parameterShapes,
} from '../adapter-config.ts';
import type { Adapter } from '../adapter-file.ts';
import { type AdapterHeader, headerKey, parseAdapterHeader } from '../adapter-header.ts';
import { findAdapter } from './adapter-source.ts';
import { type Entry, type GroupedTensors, groupTensors, hasAdapterNames, listNames } from './group-tensors.ts';
import { inferModel, modulesOfAnyWidth } from './infer-modules.ts';
import { nativeModule } from './native-names.ts';
import { magnitudesKey, unpackMagnitudes } from './comfyui-magnitudes.ts';
import { type Delta, readDelta } from './read-delta.ts';
import { placesOf, type Spelling } from './spellings.ts';
import { splitDelta } from './split-delta.ts';

/** An adapter out of a file of any format, and what was found there. */
export interface ImportedAdapter extends Adapter {
  readonly tensors: Params;
  /** The file that was read. */
  readonly path: string;
  /** How the file names its layers; several where it mixes them. */
  readonly spellings: readonly Spelling[];
  /** The kinds of adapters in it. */
  readonly kinds: readonly ('lora' | 'dora' | 'lokr' | 'loha')[];
  /** Sentences on what was left out or turned into something else. */
  readonly notices: readonly string[];
  /** Whether the file scales each layer by a tensor of its own. */
  readonly hasAlphas: boolean;
  /** What the header says of ranks and scales, if anything. */
  readonly header: AdapterHeader | undefined;
  /** The header's texts. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The model by the shapes; `layers` is one more than the last that is named. */
  readonly base: { readonly width: number; readonly layers: number };
}

/** Whether a file's names are those of an adapter of some Sana, whole or not. */
export function isSanaAdapter(names: Iterable<string>): boolean {
  const all = [...names];
  return hasAdapterNames(all, placesOf(modulesOfAnyWidth(all)));
}

/** peft's adapter_config.json as the header that diffusers makes of it. */
function peftHeader(path: string, config: Readonly<Record<string, unknown>>): AdapterHeader {
  const { peft_type: type = 'LORA' } = config;
  if (type !== 'LORA') {
    throw new UserError(
      `${path} is no LoRA but a ${quoted(String(type))} of peft, which is not read; merge it with peft.`,
    );
  }
  const entries = Object.entries(config).map(([key, value]) => [`transformer.${key}`, value]);
  return parseAdapterHeader(path, JSON.stringify(Object.fromEntries(entries)));
}

/** What a header says that B A of a layer is multiplied by. */
function headerScale(path: string, header: AdapterHeader, { name, place }: Entry, rank: number): number {
  const [first = ''] = place.parts;
  const module = place.parts.length > 1 ? (nativeModule(first)?.name ?? first) : first;
  if (header.rankOf(module) !== rank) {
    throw new UserError(
      `${path}: the header says rank ${header.rankOf(module)} for ${quoted(name)}, which has rank ${rank}; export the adapter again.`,
    );
  }
  return adapterScale(header.alphaOf(module), rank, header.rslora);
}

/**
 * Reads an adapter of any format that Sana's trainers and frontends write: diffusers, peft folders, ComfyUI (NVlabs'
 * names, fused layers), kohya (either names), OneTrainer's spellings, and LyCORIS. LoKr and LoHa of stacked layers, or
 * with magnitudes, become the LoRA of a higher rank that adds the same numbers. The format is found by the names.
 *
 * @param modules of the model; without them they are taken from the shapes
 * @throws UserError naming tensors that are unknown, missing, of another model's shape, or not finite
 */
export async function readAnyAdapter(
  path: string,
  modules?: ReadonlyMap<string, SanaModule>,
): Promise<ImportedAdapter> {
  const source = await findAdapter(path);
  const file = await openSafetensors(source.path);
  const unsized = modulesOfAnyWidth(file.tensors.keys());
  const grouped = groupTensors(path, file.tensors, placesOf(modules ?? unsized));
  checkNames(path, grouped, [...file.tensors.keys()], modules !== undefined);
  const text = file.metadata[headerKey];
  let header = text === undefined ? undefined : parseAdapterHeader(path, text);
  if (source.peftConfig) header = peftHeader(path, source.peftConfig);
  const packed = file.metadata[magnitudesKey];
  const magnitudes = packed === undefined ? new Map<string, Float32Array>() : unpackMagnitudes(path, packed);

  const inferred = inferModel(grouped.entries, unsized);
  const known = modules ?? inferred?.modules;
  if (!known) throw new UserError(`${path}: its shapes do not say how wide the model is; name the model.`);
  const adapted = new Map<string, AdaptedModule>();
  const tensors = new Map<string, ReturnType<typeof float32>>();
  const kinds = new Set<ImportedAdapter['kinds'][number]>();
  const converted = new Set<'lokr' | 'loha'>();
  for (const entry of grouped.entries) {
    const { parts } = entry.place;
    const targets = parts.map((name) => ({ name, module: found(known, name, path) }));
    const columns = targets.map(({ module }) => module.inFeatures * (module.kernel ?? 1) ** 2);
    const rows = targets.map(({ module }) => module.outFeatures);
    const size = { rows: rows.reduce((sum, count) => sum + count, 0), columns: columns[0] ?? 0 };
    const [first = ''] = parts;
    const said = (rank: number): number => (header ? headerScale(path, header, entry, rank) : 1);
    const delta = await readDelta(path, entry, size, said, magnitudes.get(entry.name));
    const isKept = 'lycoris' in delta;
    const hasMagnitudes = !isKept && delta.magnitude !== undefined;
    if (header && Math.abs(said(delta.rank) - delta.scale) > 1e-6 * Math.abs(delta.scale)) {
      throw new UserError(
        `${path}: the header says scale ${said(delta.rank)} for ${quoted(entry.name)} and its alpha says ${delta.scale}; export the adapter again.`,
      );
    }
    kinds.add(hasMagnitudes && delta.kind === 'lora' ? 'dora' : delta.kind);
    if (header && header.dora !== hasMagnitudes) {
      throw new UserError(
        `${path}: the header says use_dora ${header.dora}, but ${first} has ${hasMagnitudes ? '' : 'no '}magnitudes; export the adapter again.`,
      );
    }
    if (!isKept && delta.kind !== 'lora') converted.add(delta.kind);
    for (const [i, share] of (isKept ? [delta] : splitDelta(delta, rows)).entries()) {
      const target = targets[i];
      if (!share || !target) continue;
      if (adapted.has(target.name)) {
        throw new UserError(`${path} adapts ${target.name} twice, by itself and in a layer that holds it.`);
      }
      const { rank, scale } = share;
      const values = new Map<AdapterPart, Float32Array>('lycoris' in share ? share.parts : loraParts(share));
      const module: AdaptedModule = {
        ...target.module,
        rank,
        alpha: scale * rank,
        scale,
        dora: values.has('lora_magnitude_vector'),
        dropout: 0,
        ...('lycoris' in share && { lycoris: share.lycoris }),
      };
      adapted.set(target.name, module);
      const shapes = parameterShapes(target.name, module);
      for (const [part, data] of values) {
        const name = parameterName(target.name, part);
        const shape = shapes.get(name);
        if (shape) tensors.set(name, float32(shape, data));
      }
    }
  }
  // In the order of the model, whatever the file's was.
  const ordered = new Map([...known.keys()].flatMap((name) => pick(adapted, name)));
  const inOrder = new Map(
    [...ordered].flatMap(([name, module]) =>
      [...parameterShapes(name, module).keys()].flatMap((key) => pick(tensors, key)),
    ),
  );
  const layers = [...unsized.keys()].filter((name) => name.endsWith('attn1.to_q')).length;
  return {
    path: source.path,
    modules: ordered,
    tensors: inOrder,
    spellings: grouped.spellings,
    kinds: [...kinds],
    notices: notices(path, grouped, converted),
    hasAlphas: grouped.entries.some((entry) => entry.tensors.has('alpha')),
    header,
    metadata: file.metadata,
    base: { width: inferred?.width ?? 0, layers },
  };
}

function pick<T>(map: ReadonlyMap<string, T>, key: string): readonly (readonly [string, T])[] {
  const value = map.get(key);
  return value === undefined ? [] : [[key, value]];
}

function found(modules: ReadonlyMap<string, SanaModule>, name: string, path: string): SanaModule {
  const module = modules.get(name);
  if (!module) throw new UserError(`${path} adapts ${name}, which the model does not have; it is of another model.`);
  return module;
}

function checkNames(
  path: string,
  { entries, unknown }: GroupedTensors,
  names: readonly string[],
  isKnown: boolean,
): void {
  if (entries.length === 0) {
    throw new UserError(
      `${path} is no adapter of ${isKnown ? 'this model' : 'Sana'}: it has ${listNames(names)}${names.length === 0 ? 'no tensors' : ''}, and none of the names that diffusers, peft, ComfyUI, kohya, OneTrainer or LyCORIS give to its layers.`,
    );
  }
  if (unknown.length > 0) {
    throw new UserError(
      `${path} holds ${unknown.length} tensors that ${isKnown ? 'this model' : 'Sana'} has no place for: ${listNames(unknown, 20)}; leaving them out would be another adapter.`,
    );
  }
}

function loraParts({ a, b, magnitude }: Delta): readonly (readonly [AdapterPart, Float32Array])[] {
  return [['lora_A', a], ['lora_B', b], ...(magnitude ? [['lora_magnitude_vector', magnitude] as const] : [])];
}

function notices(path: string, { dropped }: GroupedTensors, converted: ReadonlySet<string>): readonly string[] {
  const said: string[] = [];
  const embeddings = dropped.filter((name) => name.startsWith('bundle_emb.'));
  const convolutions = dropped.filter((name) => !name.startsWith('bundle_emb.'));
  if (embeddings.length > 0)
    said.push(`${path}: ${embeddings.length} tensors of embeddings (bundle_emb) are left out.`);
  if (convolutions.length > 0) {
    said.push(
      `${path}: ${convolutions.length} tensors of the depth-wise convolutions (conv_depth) are left out: no frontend loads them.`,
    );
  }
  for (const [kind, name] of [
    ['lokr', 'LoKr'],
    ['loha', 'LoHa'],
  ] as const) {
    if (!converted.has(kind)) continue;
    said.push(
      `${path}: ${name} of stacked layers or with magnitudes is read as the LoRA (DoRA) that adds the same numbers.`,
    );
  }
  return said;
}
