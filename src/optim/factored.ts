/** How a tensor's elements are read as matrices: [batch, rows, columns], row-major. */
export interface MatrixView {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Moves running means over a matrix's rows and columns towards those of `values`: mean = decay mean + (1 - decay) new.
 * Two vectors in place of a matrix of second moments (Shazeer and Stern, arXiv 1804.04235, section 3).
 * @param values [batch, rows, columns]
 * @param rowMeans [batch, rows], the mean over columns
 * @param columnMeans [batch, columns], the mean over rows
 */
export function updateFactors(
  values: Float32Array,
  { batch, rows, columns }: MatrixView,
  rowMeans: Float32Array,
  columnMeans: Float32Array,
  decay: number,
): void {
  const columnSums = new Float64Array(columns);
  for (let b = 0; b < batch; b++) {
    columnSums.fill(0);
    for (let r = b * rows; r < (b + 1) * rows; r++) {
      let rowSum = 0;
      for (let c = 0; c < columns; c++) {
        const value = values[r * columns + c] ?? 0;
        rowSum += value;
        columnSums[c] = (columnSums[c] ?? 0) + value;
      }
      rowMeans[r] = (rowMeans[r] ?? 0) * decay + ((1 - decay) * rowSum) / columns;
    }
    for (let c = 0; c < columns; c++) {
      const at = b * columns + c;
      columnMeans[at] = (columnMeans[at] ?? 0) * decay + ((1 - decay) * (columnSums[c] ?? 0)) / rows;
    }
  }
}

/**
 * out = source / sqrt(R C / mean(R)) with R and C the means that `updateFactors` keeps: the division by the root of
 * the second moment, from its rank-one estimate. `out` may be `source`.
 */
export function divideByFactoredRoot(
  source: Float32Array,
  { batch, rows, columns }: MatrixView,
  rowMeans: Float32Array,
  columnMeans: Float32Array,
  out: Float32Array,
): void {
  const columnFactors = new Float64Array(columns);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < columns; c++) columnFactors[c] = 1 / Math.sqrt(columnMeans[b * columns + c] ?? 0);
    let total = 0;
    for (let r = b * rows; r < (b + 1) * rows; r++) total += rowMeans[r] ?? 0;
    for (let r = b * rows; r < (b + 1) * rows; r++) {
      const rowFactor = 1 / Math.sqrt((rowMeans[r] ?? 0) / (total / rows));
      for (let c = 0; c < columns; c++) {
        out[r * columns + c] = (source[r * columns + c] ?? 0) * rowFactor * (columnFactors[c] ?? 0);
      }
    }
  }
}

/** The root mean square of a tensor's elements. */
export function rootMeanSquare(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] ?? 0) ** 2; // for...of is three times as slow
  return Math.sqrt(sum / values.length);
}

/** Fills `out` with values^2 + eps. */
export function squaresPlus(values: Float32Array, eps: number, out: Float32Array): void {
  for (let i = 0; i < values.length; i++) out[i] = (values[i] ?? 0) ** 2 + eps;
}

/** Divides by max(1, rms / threshold) in place, so that the root mean square is at most `threshold`. */
export function clipRootMeanSquare(values: Float32Array, threshold: number): void {
  const excess = rootMeanSquare(values) / threshold;
  if (excess <= 1) return;
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) / excess;
}

/** mean = decay mean + (1 - decay) value, element by element. */
export function updateMean(mean: Float32Array, values: Float32Array, decay: number): void {
  for (let i = 0; i < mean.length; i++) mean[i] = (mean[i] ?? 0) * decay + (1 - decay) * (values[i] ?? 0);
}

/** out = source / sqrt(square), element by element. */
export function divideByRoot(source: Float32Array, square: Float32Array, out: Float32Array): void {
  for (let i = 0; i < source.length; i++) out[i] = (source[i] ?? 0) / Math.sqrt(square[i] ?? 0);
}

/** p = p keep - scale update, element by element. */
export function subtractScaled(p: Float32Array, keep: number, update: Float32Array, scale: number): void {
  for (let i = 0; i < p.length; i++) p[i] = (p[i] ?? 0) * keep - scale * (update[i] ?? 0);
}
