import { useMemo } from 'react';

import type { SeriesPoint } from '../log/series.ts';
import { Block } from './block.tsx';
import { braillePlot } from './braille-plot.ts';
import { heading } from './heading.ts';
import type { Piece } from './styled-line.ts';

/** Characters of the axis on the left. */
const axis = 8;

/** Four digits that count, without a long tail of zeros. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (value !== 0 && size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(4))).slice(0, 8);
}

/** A curve over steps in characters, with its axis; `smooth` draws a smoothed line over the raw values. */
export function Curve({
  name,
  text,
  points,
  width,
  height,
  smooth = true,
}: {
  readonly name: string;
  /** What the heading says beside the name. */
  readonly text: string;
  readonly points: readonly SeriesPoint[];
  readonly width: number;
  /** Rows with the heading. */
  readonly height: number;
  readonly smooth?: boolean;
}) {
  const newest = points.at(-1);
  // Points are merged and added in place: how many there are and the newest say whether they are the same.
  const rows = useMemo((): readonly (readonly Piece[])[] => {
    const plot = braillePlot(points, Math.max(1, width - axis), Math.max(1, height - 1), smooth);
    return plot.rows.map((segments, row) => {
      const value = row === 0 ? plot.high : row === plot.rows.length - 1 ? plot.low : undefined;
      const label = `${(value === undefined ? '' : shortNumber(value)).padStart(axis - 1)} `;
      return [['quiet', label], ...segments.map(({ text, layer }): Piece => (layer === 'none' ? text : [layer, text]))];
    });
  }, [points, points.length, newest?.to, newest?.mean, width, height, smooth]);
  return <Block id={name} lines={[heading(name, text, width), ...rows]} width={width} height={height} />;
}
