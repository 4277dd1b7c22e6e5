import { type SeriesPoint, smoothed, smoothingSteps } from '../log/series.ts';

/** A stretch of a plot's row that looks the same. */
export interface PlotSegment {
  readonly text: string;
  readonly layer: 'line' | 'raw' | 'none';
}

/** A curve in characters. */
export interface BraillePlot {
  /** One a row of the terminal, each as wide as was asked for. */
  readonly rows: readonly (readonly PlotSegment[])[];
  /** Values of the upper and lower edge. */
  readonly high: number;
  readonly low: number;
}

/** Bits of a braille character's dots by row and column; U+2800 is the empty one. */
const dots = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

type Layer = Uint8Array;

/**
 * Draws a curve with two by four dots a character: raw values as far as they reach in each column of dots, and over
 * them the smoothed line.
 * @param points of a series, ascending
 * @param width in characters
 * @param height in characters
 * @param smooth whether the line is smoothed, or goes through the values
 */
export function braillePlot(points: readonly SeriesPoint[], width: number, height: number, smooth = true): BraillePlot {
  const [raw, line]: readonly [Layer, Layer] = [new Uint8Array(width * height), new Uint8Array(width * height)];
  const means = smooth ? smoothed(points, smoothingSteps(points)) : points.map(({ mean }) => mean);
  const [first, last] = [points[0]?.to ?? 0, points.at(-1)?.to ?? 0];

  // The hundredth of the values that sticks out most may leave the picture; the line may not.
  const sorted = points.map(({ mean }) => mean).sort((a, b) => a - b);
  const cut = Math.floor(sorted.length / 100);
  let low = Math.min(sorted[cut] ?? 0, ...means);
  let high = Math.max(sorted[sorted.length - 1 - cut] ?? 0, ...means);
  if (high - low < 1e-12) [low, high] = [low - Math.abs(low || 1) / 10, high + Math.abs(high || 1) / 10];

  const [columns, lines] = [width * 2, height * 4];
  const x = (step: number): number =>
    last > first ? Math.round(((step - first) / (last - first)) * (columns - 1)) : 0;
  const y = (value: number): number =>
    Math.min(lines - 1, Math.max(0, Math.round(((high - value) / (high - low)) * (lines - 1))));
  const set = (layer: Layer, column: number, row: number): void => {
    const cell = Math.floor(row / 4) * width + Math.floor(column / 2);
    layer[cell] = (layer[cell] ?? 0) | (dots[row % 4]?.[column % 2] ?? 0);
  };
  const connect = (layer: Layer, values: (i: number) => number): void => {
    let previous: readonly [number, number] | undefined;
    for (const [i, { to }] of points.entries()) {
      const [column, row] = [x(to), y(values(i))];
      const [fromColumn, fromRow] = previous ?? [column, row];
      const length = Math.max(1, Math.abs(column - fromColumn), Math.abs(row - fromRow));
      for (let k = 0; k <= length; k++) {
        const part = k / length;
        set(layer, Math.round(fromColumn + part * (column - fromColumn)), Math.round(fromRow + part * (row - fromRow)));
      }
      previous = [column, row];
    }
  };
  if (smooth) {
    connect(raw, (i) => points[i]?.mean ?? 0);
    for (const { to, min, max } of points) for (let row = y(max); row <= y(min); row++) set(raw, x(to), row);
  }
  connect(line, (i) => means[i] ?? 0);

  const rows = Array.from({ length: height }, (_, row) => {
    const segments: PlotSegment[] = [];
    for (let column = 0; column < width; column++) {
      const cell = row * width + column;
      const [over, under] = [line[cell] ?? 0, raw[cell] ?? 0];
      const before = segments.at(-1);
      // A space has no colour: it goes with what is before it, and a row has fewer pieces to draw.
      const layer = over > 0 ? 'line' : under > 0 ? 'raw' : (before?.layer ?? 'none');
      const text = over + under === 0 ? ' ' : String.fromCodePoint(0x2800 + (over || under));
      if (before?.layer === layer) segments[segments.length - 1] = { layer, text: before.text + text };
      else segments.push({ layer, text });
    }
    return segments;
  });
  return { rows, high, low };
}
