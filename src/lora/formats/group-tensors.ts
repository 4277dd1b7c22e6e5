import { UserError } from '../../errors.ts';
import { quoted } from '../../io/json.ts';
import type { TensorLocation } from '../../io/safetensors.ts';
import type { Place, Spelling } from './spellings.ts';

/** What a tensor is to the layer that it belongs to. */
export type Part =
  | 'a'
  | 'b'
  | 'alpha'
  | 'dora_scale'
  | 'magnitude'
  | `lokr_${'w1' | 'w1_a' | 'w1_b' | 'w2' | 'w2_a' | 'w2_b'}`
  | `hada_${'w1_a' | 'w1_b' | 'w2_a' | 'w2_b'}`;

/** All that a file holds for one layer. */
export interface Entry {
  /** The layer's name in the file. */
  readonly name: string;
  readonly place: Place;
  readonly tensors: ReadonlyMap<Part, TensorLocation>;
}

/** A file's tensors, by what they are for. */
export interface GroupedTensors {
  readonly entries: readonly Entry[];
  readonly spellings: readonly Spelling[];
  /** Tensors that are left out on purpose. */
  readonly dropped: readonly string[];
  /** Tensors that the model has no place for. */
  readonly unknown: readonly string[];
}

const suffixes: readonly (readonly [string, Part])[] = [
  ['.lora_A.weight', 'a'],
  ['.lora_B.weight', 'b'],
  ['.lora_A.default.weight', 'a'],
  ['.lora_B.default.weight', 'b'],
  ['.lora_down.weight', 'a'],
  ['.lora_up.weight', 'b'],
  ['.lora.down.weight', 'a'],
  ['.lora.up.weight', 'b'],
  ['.alpha', 'alpha'],
  ['.dora_scale', 'dora_scale'],
  ['.lora_magnitude_vector', 'magnitude'],
  ['.lora_magnitude_vector.weight', 'magnitude'],
  ['.lora_magnitude_vector.default.weight', 'magnitude'],
  ...(['lokr_w1', 'lokr_w1_a', 'lokr_w1_b', 'lokr_w2', 'lokr_w2_a', 'lokr_w2_b'] as const).map(
    (part) => [`.${part}`, part] as const,
  ),
  ...(['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'] as const).map((part) => [`.${part}`, part] as const),
];

/** Whether some of a file's names are those of an adapter's tensors on known layers. */
export function hasAdapterNames(names: Iterable<string>, places: ReadonlyMap<string, Place>): boolean {
  for (const name of names) {
    const [suffix] = suffixes.find(([suffix]) => name.endsWith(suffix)) ?? [];
    if (suffix !== undefined && places.has(name.slice(0, -suffix.length))) return true;
  }
  return false;
}

/** Some names for a message, and how many more there are. */
export function listNames(names: readonly string[], most = 8): string {
  return names.slice(0, most).map(quoted).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '');
}

/**
 * Finds the layer and the role of each tensor by its name.
 * @throws UserError when a file has two tensors for one role, under two names
 */
export function groupTensors(
  path: string,
  tensors: ReadonlyMap<string, TensorLocation>,
  places: ReadonlyMap<string, Place>,
): GroupedTensors {
  const entries = new Map<string, Entry & { readonly tensors: Map<Part, TensorLocation> }>();
  const spellings = new Set<Spelling>();
  const dropped: string[] = [];
  const unknown: string[] = [];
  for (const [name, location] of tensors) {
    // Embeddings that OneTrainer packs into the file of an adapter belong to the text encoder.
    if (name.startsWith('bundle_emb.')) {
      dropped.push(name);
      continue;
    }
    const [suffix, part] = suffixes.find(([suffix]) => name.endsWith(suffix)) ?? [];
    const base = suffix === undefined ? '' : name.slice(0, -suffix.length);
    const place = places.get(base);
    if (part === undefined || place === undefined) {
      unknown.push(name);
      continue;
    }
    if (place.dropped) {
      dropped.push(name);
      continue;
    }
    spellings.add(place.spelling);
    const key = place.parts.join();
    const entry = entries.get(key) ?? { name: base, place, tensors: new Map<Part, TensorLocation>() };
    entries.set(key, entry);
    if (entry.tensors.has(part)) {
      throw new UserError(`${path}: ${quoted(name)} says again what the file holds for that layer under another name.`);
    }
    entry.tensors.set(part, location);
  }
  return { entries: [...entries.values()], spellings: [...spellings], dropped, unknown };
}
