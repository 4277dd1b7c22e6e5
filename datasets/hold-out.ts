import { createRandom } from '../src/random.ts';
import type { Example } from './example.ts';
import { byCodePoint } from './list-files.ts';

/** Examples to train with, and examples kept back to measure on. */
export interface HeldOut {
  readonly training: readonly Example[];
  readonly validation: readonly Example[];
}

/**
 * Keeps back `count` instance pictures for validation, chosen by the seed and each picture's content: copies of one
 * picture fall on one side, and adding pictures moves few others. At least one picture is left for training.
 */
export function holdOut(
  examples: readonly Example[],
  { count, seed }: { readonly count: number; readonly seed: number | string },
): HeldOut {
  const root = createRandom(seed).fork('held out');
  const hashes = new Set(examples.filter((e) => e.dataset.kind === 'instance').map((e) => e.picture.contentHash));
  const ranked = [...hashes]
    .sort(byCodePoint)
    .map((hash) => ({ hash, rank: root.fork(hash).uniform() }))
    .sort((a, b) => a.rank - b.rank);
  const kept = new Set(ranked.slice(0, Math.min(count, hashes.size - 1)).map(({ hash }) => hash));
  const isKept = ({ dataset, picture }: Example): boolean =>
    dataset.kind === 'instance' && kept.has(picture.contentHash);
  return { training: examples.filter((e) => !isKept(e)), validation: examples.filter(isKept) };
}
