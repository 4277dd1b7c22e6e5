import { createSeries, type Series } from '../log/series.ts';
import type { ChartLine, ChartPoint } from './line-chart.ts';

/** A series as a line whose band reaches from the lowest to the highest of what each point stands for. */
export function seriesLine(series: Series): Pick<ChartLine, 'points' | 'band'> {
  const points = series.points();
  return {
    points: points.map(({ to, mean }) => [to, mean] as const),
    band: points.map(({ to, min, max }) => [to, min, max] as const),
  };
}

/** Values by step as such a line, as few points as a series has. */
export function pointsLine(points: readonly ChartPoint[]): Pick<ChartLine, 'points' | 'band'> {
  const series = createSeries();
  for (const [step, value] of points) series.add(step, value);
  return seriesLine(series);
}
