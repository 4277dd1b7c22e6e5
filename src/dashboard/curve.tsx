import { Box, Text } from 'ink';
import { useMemo } from 'react';

import type { SeriesPoint } from '../log/series.ts';
import { braillePlot } from './braille-plot.ts';
import { Heading } from './heading.tsx';
import { useTone } from './look.ts';

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
  /** Rows with the title. */
  readonly height: number;
  readonly smooth?: boolean;
}) {
  const tone = useTone();
  const last = points.at(-1)?.to;
  // Points are merged and added in place: how many there are and the newest say whether they are the same.
  const plot = useMemo(
    () => braillePlot(points, Math.max(1, width - axis), Math.max(1, height - 1), smooth),
    [points, points.length, last, width, height, smooth],
  );
  return (
    <Box flexDirection="column" width={width} height={height} flexShrink={0}>
      <Heading name={name} text={text} width={width} />
      {plot.rows.map((segments, row) => (
        <Box key={row}>
          <Text {...tone('quiet')}>
            {(row === 0 ? shortNumber(plot.high) : row === plot.rows.length - 1 ? shortNumber(plot.low) : '').padStart(
              axis - 1,
            )}{' '}
          </Text>
          <Text wrap="truncate">
            {segments.map(({ text, layer }, i) => (
              <Text key={i} {...tone(layer === 'none' ? 'plain' : layer)}>
                {text}
              </Text>
            ))}
          </Text>
        </Box>
      ))}
    </Box>
  );
}
