import { createRandom } from '../random.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { applyDelta, inputsOf, moduleDelta, type ModuleDelta } from '../lora/module-delta.ts';

/** How far two adapters' effects are apart. */
export interface AdapterDifference {
  /** The largest of any module, relative to the module's effect; infinite where there was none. */
  readonly error: number;
  readonly module: string;
}

// Together: by itself a random x may be next to orthogonal to all of a low rank's A.
const probes = 16;
/** A layer that does less than this share of what the strongest does is measured by that: half precision loses digits. */
const leastShare = 2 ** -6;

/**
 * Compares what two adapters add to each weight: B A x for random x, and the magnitudes. Ranks, factors and kinds may
 * differ.
 * A module that only one of them has counts as the same when the other's B A is zero.
 * @param baseNorms row norms of base weights: what magnitudes are where a module has no adapter
 */
export function compareAdapters(
  expected: Adapter,
  actual: Adapter,
  baseNorms: ReadonlyMap<string, Float32Array> = new Map(),
): AdapterDifference {
  const found: { readonly module: string; readonly size: number; readonly difference: number }[] = [];
  let worst: AdapterDifference = { error: 0, module: '' };
  for (const name of new Set([...expected.modules.keys(), ...actual.modules.keys()])) {
    const random = createRandom(name);
    const unchanged = (other?: ModuleDelta): Float32Array | undefined => other?.magnitude && baseNorms.get(name);
    const [left, right] = [expected, actual].map((adapter) =>
      adapter.modules.has(name) ? moduleDelta(adapter, name) : undefined,
    );
    const known = left ?? right;
    const inputs = known ? inputsOf(known) : 0;
    let [sizes, differences] = [0, 0];
    for (let probe = 0; probe < probes; probe++) {
      const x = Float32Array.from({ length: inputs }, () => random.normal());
      const [y, z] = [left && applyDelta(left, x), right && applyDelta(right, x)];
      const { size, difference } = distance(y, z);
      sizes += size ** 2;
      differences += difference ** 2;
    }
    found.push({ module: name, size: Math.sqrt(sizes), difference: Math.sqrt(differences) });
    const magnitudes = distance(left?.magnitude ?? unchanged(right), right?.magnitude ?? unchanged(left));
    const error = magnitudes.difference === 0 ? 0 : magnitudes.difference / magnitudes.size;
    if (!(error <= worst.error)) worst = { error, module: name };
  }
  const least = leastShare * found.reduce((most, { size }) => Math.max(most, size), 0);
  for (const { module, size, difference } of found) {
    const error = difference === 0 ? 0 : difference / Math.max(size, least);
    if (!(error <= worst.error)) worst = { error, module };
  }
  return worst;
}

/** ||y|| and ||y - z||; what is not there is zero. */
function distance(
  y: Float64Array | Float32Array | undefined,
  z: Float64Array | Float32Array | undefined,
): { readonly size: number; readonly difference: number } {
  let [size, difference] = [0, 0];
  for (let i = 0; i < Math.max(y?.length ?? 0, z?.length ?? 0); i++) {
    const [p, q] = [y?.[i] ?? 0, z?.[i] ?? 0];
    size += p * p;
    difference += (p - q) ** 2;
  }
  return { size: Math.sqrt(size), difference: Math.sqrt(difference) };
}
