import { UserError } from '../errors.ts';
import type { Adapter } from './adapter-file.ts';
import { type LowRankDelta, lowRankDelta, moduleDelta } from './module-delta.ts';
import { adapterOf } from './resize-adapter.ts';
import { scaleAdapter } from './scale-adapter.ts';

/** An adapter and how strongly it acts. */
export interface WeightedAdapter {
  readonly adapter: Adapter;
  readonly scale: number;
}

/**
 * One adapter that adds what several add together: their A under each other, their B side by side, so that the rank is
 * the sum of theirs and nothing is lost.
 * @throws UserError for DoRA, whose magnitudes are not added
 */
export function combineAdapters(adapters: readonly WeightedAdapter[]): Adapter {
  const deltas = new Map<string, LowRankDelta>();
  for (const { adapter, scale } of adapters) {
    const scaled = scaleAdapter(adapter, scale);
    for (const name of scaled.modules.keys()) {
      const delta = lowRankDelta(moduleDelta(scaled, name));
      if (delta.magnitude) {
        throw new UserError(
          'An adapter has magnitudes (DoRA), which cannot be added to another; merge it into a model with export --format merged.',
        );
      }
      const before = deltas.get(name);
      deltas.set(name, before ? joined(before, delta) : delta);
    }
  }
  return adapterOf(deltas);
}

function joined(first: LowRankDelta, second: LowRankDelta): LowRankDelta {
  const rank = first.rank + second.rank;
  const rows = first.b.length / first.rank;
  const a = new Float32Array(first.a.length + second.a.length);
  a.set(first.a);
  a.set(second.a, first.a.length);
  const b = new Float32Array(rows * rank);
  for (let i = 0; i < rows; i++) {
    b.set(first.b.subarray(i * first.rank, (i + 1) * first.rank), i * rank);
    b.set(second.b.subarray(i * second.rank, (i + 1) * second.rank), i * rank + first.rank);
  }
  return { module: first.module, rank, a, b };
}
