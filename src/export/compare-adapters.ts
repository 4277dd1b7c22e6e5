import { createRandom } from '../random.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { moduleDelta, type ModuleDelta } from '../lora/module-delta.ts';

/** How far two adapters' effects are apart. */
export interface AdapterDifference {
  /** The largest of any module, relative to the module's effect; infinite where one has a module that the other lacks. */
  readonly error: number;
  readonly module: string;
}

const probes = 4;

/**
 * Compares what two adapters add to each weight: B A x for random x, and the magnitudes. Ranks and factors may differ.
 * A module that only one of them has counts as the same when the other's B A is zero.
 */
export function compareAdapters(expected: Adapter, actual: Adapter): AdapterDifference {
  let worst: AdapterDifference = { error: 0, module: '' };
  for (const name of new Set([...expected.modules.keys(), ...actual.modules.keys()])) {
    const random = createRandom(name);
    const [left, right] = [expected, actual].map((adapter) =>
      adapter.modules.has(name) ? moduleDelta(adapter, name) : undefined,
    );
    const inputs = left ? left.a.length / left.rank : right ? right.a.length / right.rank : 0;
    for (let probe = 0; probe < probes; probe++) {
      const x = Float32Array.from({ length: inputs }, () => random.normal());
      const [y, z] = [left ? effect(left, x) : undefined, right ? effect(right, x) : undefined];
      const error = distance(y, z);
      if (!(error <= worst.error)) worst = { error, module: name };
    }
    const error = distance(left?.magnitude, right?.magnitude);
    if (!(error <= worst.error)) worst = { error, module: name };
  }
  return worst;
}

/** B A x */
function effect({ a, b, rank }: ModuleDelta, x: Float32Array): Float64Array {
  const width = x.length;
  const low = Float64Array.from({ length: rank }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += (a[k * width + i] ?? 0) * (x[i] ?? 0);
    return sum;
  });
  return Float64Array.from({ length: b.length / rank }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += (b[row * rank + k] ?? 0) * (low[k] ?? 0);
    return sum;
  });
}

/** ||y - z|| / ||y||; what is not there is zero. */
function distance(y: Float64Array | Float32Array | undefined, z: Float64Array | Float32Array | undefined): number {
  const length = Math.max(y?.length ?? 0, z?.length ?? 0);
  let [size, difference] = [0, 0];
  for (let i = 0; i < length; i++) {
    const [p, q] = [y?.[i] ?? 0, z?.[i] ?? 0];
    size += p * p;
    difference += (p - q) ** 2;
  }
  if (difference === 0) return 0;
  return size === 0 ? Number.POSITIVE_INFINITY : Math.sqrt(difference / size);
}
