import type { ExampleLoss } from '../events.ts';

/** How well a run learned one of its pictures. */
export interface PictureLoss {
  readonly id: string;
  /** How often it was trained on. */
  readonly uses: number;
  readonly loss: number;
  /**
   * Its loss divided by what all pictures had at the same noise, averaged over its uses: above 1 it is harder than the
   * others. The plain loss says more about the noise that was drawn than about the picture.
   */
  readonly difficulty: number;
}

/** Ten bins of sigma are fine enough: within one, the loss varies less than between pictures. */
const binCount = 10;

interface Sums {
  readonly count: Float64Array;
  readonly loss: Float64Array;
}

const noSums = (): Sums => ({ count: new Float64Array(binCount), loss: new Float64Array(binCount) });

/** Collects pictures' losses over a run, in memory that grows with the pictures and not with the steps. */
export function createPictureLosses(): {
  add(example: ExampleLoss): void;
  /** The hardest first. */
  list(): readonly PictureLoss[];
} {
  const all = noSums();
  const byPicture = new Map<string, Sums>();
  return {
    add({ id, sigma, loss }) {
      if (!Number.isFinite(loss)) return;
      const bin = Math.min(binCount - 1, Math.max(0, Math.floor(sigma * binCount)));
      const own = byPicture.get(id) ?? noSums();
      byPicture.set(id, own);
      for (const sums of [all, own]) {
        sums.count[bin] = (sums.count[bin] ?? 0) + 1;
        sums.loss[bin] = (sums.loss[bin] ?? 0) + loss;
      }
    },
    list: () =>
      [...byPicture]
        .map(([id, own]) => {
          const uses = own.count.reduce((a, b) => a + b, 0);
          const loss = own.loss.reduce((a, b) => a + b, 0);
          // What the pictures' average would have lost, had it been used at the same noise.
          const expected = own.count.reduce(
            (sum, count, bin) => sum + (count > 0 ? (count * (all.loss[bin] ?? 0)) / (all.count[bin] ?? 1) : 0),
            0,
          );
          return { id, uses, loss: loss / uses, difficulty: expected > 0 ? loss / expected : 1 };
        })
        .sort((a, b) => b.difficulty - a.difficulty),
  };
}
