/** A matrix, row by row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** A matrix as P Q. */
export interface Factors {
  readonly p: Matrix;
  readonly q: Matrix;
}

/** A whole matrix as itself and the unit matrix of its smaller side. */
export function wholeFactors(matrix: Matrix): Factors {
  const { rows, columns } = matrix;
  return rows < columns ? { p: unit(rows), q: matrix } : { p: matrix, q: unit(columns) };
}

function unit(side: number): Matrix {
  const data = new Float32Array(side * side);
  for (let i = 0; i < side; i++) data[i * side + i] = 1;
  return { rows: side, columns: side, data };
}

/** P Q. [m, r] and [r, n] -> [m, n] */
export function product({ p, q }: Factors): Matrix {
  const out = new Float32Array(p.rows * q.columns);
  for (let i = 0; i < p.rows; i++) {
    const row = out.subarray(i * q.columns, (i + 1) * q.columns);
    for (let k = 0; k < p.columns; k++) {
      const factor = p.data[i * p.columns + k] ?? 0;
      if (factor === 0) continue;
      const source = q.data.subarray(k * q.columns, (k + 1) * q.columns);
      for (let j = 0; j < row.length; j++) row[j] = (row[j] ?? 0) + factor * (source[j] ?? 0);
    }
  }
  return { rows: p.rows, columns: q.columns, data: out };
}

/** The Kronecker product. [m, n] and [p, q] -> [m p, n q] */
export function kronecker(x: Matrix, y: Matrix): Matrix {
  const [rows, columns] = [x.rows * y.rows, x.columns * y.columns];
  const data = new Float32Array(rows * columns);
  let at = 0;
  for (let i = 0; i < x.rows; i++) {
    for (let k = 0; k < y.rows; k++) {
      for (let j = 0; j < x.columns; j++) {
        const factor = x.data[i * x.columns + j] ?? 0;
        for (let l = 0; l < y.columns; l++) data[at++] = factor * (y.data[k * y.columns + l] ?? 0);
      }
    }
  }
  return { rows, columns, data };
}

/** (P Q) x (U V) = (P x U) (Q x V): the Kronecker product of low ranks is of low rank, their product. */
export function kroneckerFactors(one: Factors, two: Factors): Factors {
  return { p: kronecker(one.p, two.p), q: kronecker(one.q, two.q) };
}

/**
 * (P Q) * (U V), element by element, as one product: each row of the left is the Kronecker product of a row of P and one
 * of U, each column of the right that of a column of Q and one of V. Where that rank is no lower than the matrix, the
 * matrix itself.
 */
export function hadamardFactors({ p, q }: Factors, { p: u, q: v }: Factors): Factors {
  const [rows, columns] = [p.rows, q.columns];
  const rank = p.columns * u.columns;
  if (rank >= Math.min(rows, columns)) {
    const [first, second] = [product({ p, q }).data, product({ p: u, q: v }).data];
    return wholeFactors({ rows, columns, data: first.map((x, i) => x * (second[i] ?? 0)) });
  }
  const left = new Float32Array(rows * rank);
  const right = new Float32Array(rank * columns);
  for (let s = 0; s < p.columns; s++) {
    for (let t = 0; t < u.columns; t++) {
      const k = s * u.columns + t;
      for (let i = 0; i < rows; i++) {
        left[i * rank + k] = (p.data[i * p.columns + s] ?? 0) * (u.data[i * u.columns + t] ?? 0);
      }
      for (let j = 0; j < columns; j++) {
        right[k * columns + j] = (q.data[s * columns + j] ?? 0) * (v.data[t * columns + j] ?? 0);
      }
    }
  }
  return { p: { rows, columns: rank, data: left }, q: { rows: rank, columns, data: right } };
}

/** The sum of the squares of a matrix's numbers. */
export function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
