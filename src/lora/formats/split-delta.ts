import type { Delta } from './read-delta.ts';

/**
 * The share of each part in a layer that stacks several: B's rows are its own. Where B is block diagonal, as a file is
 * whose parts were trained apart, only its columns and A's rows for them are taken, and a part without any is left out;
 * else every part gets the whole A.
 *
 * @param rows of each part, adding up to B's
 * @returns one for each part; undefined where it has none
 */
export function splitDelta(delta: Delta, rows: readonly number[]): readonly (Delta | undefined)[] {
  if (rows.length === 1) return [delta];
  const { a, b, rank, magnitude } = delta;
  const width = a.length / rank;
  const starts = rows.map((_, part) => rows.slice(0, part).reduce((sum, count) => sum + count, 0));
  const used = rows.map((count, part) => columnsUsed(b, rank, starts[part] ?? 0, count));
  const owners = new Set<number>();
  const isBlockDiagonal = used.every((columns) => columns.every((column) => !owners.has(column) && owners.add(column)));
  const all = Array.from({ length: rank }, (_, column) => column);
  return rows.map((count, part) => {
    const start = starts[part] ?? 0;
    const own = used[part] ?? [];
    // Magnitudes act without B A too.
    if (own.length === 0 && !magnitude && owners.size > 0) return undefined;
    const [only = 0] = all;
    const columns = owners.size === 0 || !isBlockDiagonal ? all : own.length === 0 ? [only] : own;
    const partA = new Float32Array(columns.length * width);
    const partB = new Float32Array(count * columns.length);
    for (const [k, column] of columns.entries()) {
      partA.set(a.subarray(column * width, (column + 1) * width), k * width);
      for (let row = 0; row < count; row++) partB[row * columns.length + k] = b[(start + row) * rank + column] ?? 0;
    }
    return {
      kind: delta.kind,
      rank: columns.length,
      a: partA,
      b: partB,
      scale: delta.scale,
      ...(magnitude && { magnitude: magnitude.slice(start, start + count) }),
    };
  });
}

/** Columns of B from the first to the last that are not zero in some rows. */
function columnsUsed(b: Float32Array, rank: number, start: number, count: number): readonly number[] {
  const used: number[] = [];
  for (let column = 0; column < rank; column++) {
    for (let row = start; row < start + count; row++) {
      if (b[row * rank + column] === 0) continue;
      used.push(column);
      break;
    }
  }
  return used;
}
