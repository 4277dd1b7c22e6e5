/** Singular values, largest first, and the vectors to them, of a product B A. */
export interface LowRankSvd {
  readonly values: Float64Array;
  /** Left vectors: values.length of length out. */
  readonly left: readonly Float64Array[];
  /** Right vectors: values.length of length in. */
  readonly right: readonly Float64Array[];
}

/**
 * The singular value decomposition of B A without the product itself: QR of both factors, then the small core.
 * @param b [out, rank], @param a [rank, in]
 */
export function lowRankSvd(b: Float32Array, a: Float32Array, rank: number): LowRankSvd {
  const [rows, columns] = [b.length / rank, a.length / rank];
  const bColumns = Array.from({ length: rank }, (_, k) =>
    Float64Array.from({ length: rows }, (_, i) => b[i * rank + k] ?? 0),
  );
  const aRows = Array.from({ length: rank }, (_, k) => Float64Array.from(a.subarray(k * columns, (k + 1) * columns)));
  const [qb, qa] = [orthogonalise(bColumns), orthogonalise(aRows)];
  // B A = Qb (Rb Ra^T) Qa^T; the core's columns by one-sided Jacobi: core V = U S.
  const core = Array.from({ length: rank }, (_, j) =>
    Float64Array.from({ length: rank }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += (qb.r[k]?.[i] ?? 0) * (qa.r[k]?.[j] ?? 0);
      return sum;
    }),
  );
  const v = jacobi(core);
  const norms = core.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, i) => i).sort((i, j) => (norms[j] ?? 0) - (norms[i] ?? 0));
  const combine = (
    basis: readonly Float64Array[],
    weights: Float64Array,
    length: number,
    scale: number,
  ): Float64Array => {
    const out = new Float64Array(length);
    for (const [k, vector] of basis.entries()) addScaled(out, vector, (weights[k] ?? 0) * scale);
    return out;
  };
  return {
    values: Float64Array.from(order, (i) => norms[i] ?? 0),
    left: order.map((i) => {
      const norm = norms[i] ?? 0;
      return combine(qb.q, core[i] ?? new Float64Array(rank), rows, norm > 0 ? 1 / norm : 0);
    }),
    right: order.map((i) => combine(qa.q, v[i] ?? new Float64Array(rank), columns, 1)),
  };
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] ?? 0) * (y[i] ?? 0);
  return sum;
}

function addScaled(x: Float64Array, y: Float64Array, factor: number): void {
  if (factor !== 0) for (let i = 0; i < x.length; i++) x[i] = (x[i] ?? 0) + factor * (y[i] ?? 0);
}

/** Gram-Schmidt, twice, which is enough; a vector that depends on those before it gives zeros. r[k][i] = q_i . v_k */
export function orthogonalise(vectors: readonly Float64Array[]): {
  readonly q: readonly Float64Array[];
  readonly r: readonly Float64Array[];
} {
  const q: Float64Array[] = [];
  const r: Float64Array[] = [];
  for (const [k, vector] of vectors.entries()) {
    const rest = vector.slice();
    const row = new Float64Array(vectors.length);
    for (let pass = 0; pass < 2; pass++) {
      for (const [i, unit] of q.entries()) {
        const part = dot(unit, rest);
        row[i] = (row[i] ?? 0) + part;
        addScaled(rest, unit, -part);
      }
    }
    const norm = Math.sqrt(dot(rest, rest));
    if (norm > 1e-13 * Math.sqrt(dot(vector, vector))) {
      row[k] = norm;
      for (let i = 0; i < rest.length; i++) rest[i] = (rest[i] ?? 0) / norm;
    } else rest.fill(0);
    q.push(rest);
    r.push(row);
  }
  return { q, r };
}

/** Turns the columns until they are orthogonal (Hestenes); returns the columns of V. */
function jacobi(columns: readonly Float64Array[]): readonly Float64Array[] {
  const n = columns.length;
  const v = Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 30; sweep++) {
    let turned = false;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const [x, y] = [columns[i], columns[j]];
        const [vx, vy] = [v[i], v[j]];
        if (!x || !y || !vx || !vy) continue;
        const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
        if (Math.abs(xy) <= 1e-15 * Math.sqrt(xx * yy) || xy === 0) continue;
        turned = true;
        const zeta = (yy - xx) / (2 * xy);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        rotate(x, y, c, c * t);
        rotate(vx, vy, c, c * t);
      }
    }
    if (!turned) break;
  }
  return v;
}

function rotate(x: Float64Array, y: Float64Array, c: number, s: number): void {
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [x[i] ?? 0, y[i] ?? 0];
    x[i] = c * a - s * b;
    y[i] = s * a + c * b;
  }
}
