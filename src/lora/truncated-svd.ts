import type { Engine } from '../engine/engine.ts';
import { createGraph } from '../graph/graph.ts';
import { matMul } from '../graph/ops/matmul.ts';
import { float32, toFloat32 } from '../graph/tensor.ts';
import { input } from '../graph/value.ts';
import type { Random } from '../random.ts';
import { lowRankSvd, type LowRankSvd, orthogonalise } from './low-rank-svd.ts';
import type { Matrix } from './matrix.ts';

/** Finds the largest singular values of large matrices, with their vectors. */
export interface TruncatedSvd {
  /** At most `rank` of them, largest first. */
  decompose(matrix: Matrix, rank: number, random: Random): Promise<LowRankSvd>;
  dispose(): Promise<void>;
}

/** Vectors beyond those that are asked for: the first ones are then found in a few rounds. */
const oversampling = 10;
const mostRounds = 12;
/** The share by which a round must add to what is found for another to be worth it. */
const leastGain = 1e-5;

/**
 * Randomised subspace iteration (Halko, Martinsson and Tropp, arXiv 0909.4061, algorithm 4.4), the products being done
 * by the engine.
 */
export async function createTruncatedSvd(engine: Engine): Promise<TruncatedSvd> {
  const d = input('d', ['M', 'N']);
  const y = matMul(d, input('q', ['N', 'K'])); // [M, K]
  const z = matMul(d, y, { transA: true }); // [N, K]
  const executable = await engine.compile(createGraph({ y, z }), new Map());
  return {
    async decompose({ rows, columns, data }, rank, random) {
      const count = Math.min(rank + oversampling, rows, columns);
      const whole = float32([rows, columns], data);
      let basis = orthogonalise(Array.from({ length: count }, () => Float64Array.from(random.normals(columns)))).q;
      for (let round = 0, found = 0; ; round++) {
        const q = new Float32Array(columns * count);
        for (const [k, vector] of basis.entries()) for (let i = 0; i < columns; i++) q[i * count + k] = vector[i] ?? 0;
        const results = await executable.run({ d: whole, q: float32([columns, count], q) });
        if (!results.y || !results.z) throw new RangeError('truncatedSvd: the engine gave no product');
        const left = toFloat32(results.y);
        const size = left.reduce((sum, value) => sum + value * value, 0);
        if (count === Math.min(rows, columns) ? round > 1 : round >= mostRounds || size - found <= leastGain * size) {
          const a = Float32Array.from(
            { length: count * columns },
            (_, at) => basis[Math.floor(at / columns)]?.[at % columns] ?? 0,
          );
          const { values, left: u, right } = lowRankSvd(left, a, count);
          return { values: values.slice(0, rank), left: u.slice(0, rank), right: right.slice(0, rank) };
        }
        found = size;
        const next = toFloat32(results.z);
        basis = orthogonalise(
          Array.from({ length: count }, (_, k) =>
            Float64Array.from({ length: columns }, (_, i) => next[i * count + k] ?? 0),
          ),
        ).q;
      }
    },
    dispose: () => executable.dispose(),
  };
}
