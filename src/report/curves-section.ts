import { type SeriesPoint, smoothed, smoothingSteps } from '../log/series.ts';
import { type Html, html } from './html.ts';
import { type ChartLine, lineChart } from './line-chart.ts';
import type { RunRecord } from './run-record.ts';
import { seriesLine } from './series-line.ts';

/** Says that a long run's curves are thinned, and how. */
function thinningNote(records: readonly RunRecord[]): string {
  const counts = records.map(({ loss }) => Math.max(0, ...loss.points().map(({ count }) => count)));
  const most = Math.max(1, ...counts);
  return most === 1
    ? ''
    : ` Thinned: a point is the mean of up to ${most} steps, and the shaded band reaches from their lowest to their highest value.`;
}

/** Loss, learning rate, gradient norm and validation over steps, the runs over one another. */
export function curvesSection(records: readonly RunRecord[]): Html {
  const several = records.length > 1;
  const named = (label: string, name: string): string => (several ? `${label}: ${name}` : name);
  const smooth = (points: readonly SeriesPoint[]): ChartLine['points'] =>
    smoothed(points, smoothingSteps(points)).map((value, i) => [points[i]?.to ?? 0, value] as const);
  const loss = records.flatMap(({ loss, label }, run): readonly ChartLine[] => [
    { name: named(label, 'loss'), color: run % 8, ...seriesLine(loss), faint: true },
    { name: named(label, 'smoothed'), color: run % 8, points: smooth(loss.points()) },
  ]);
  const curve = (key: 'learningRate' | 'gradNorm' | 'validation', name: string): readonly ChartLine[] =>
    records.map((record, run) => ({
      name: several ? record.label : name,
      color: run % 8,
      ...seriesLine(record[key]),
    }));
  const bins = records.map(({ validationBins, label }) =>
    lineChart({
      title: named(label, 'Validation loss by noise level'),
      about: 'Low sigma is detail, high sigma is composition.',
      lines: [...validationBins].map(([name, series], i) => ({ name, color: i % 8, ...seriesLine(series) })),
    }),
  );
  return html`<section aria-labelledby="curves">
    <h2 id="curves">Curves</h2>
    <div class="charts">
      ${lineChart({
        title: 'Loss',
        about: `Each step’s loss jumps with the noise that is drawn; the smoothed line shows where it goes.${thinningNote(records)}`,
        wide: true,
        lines: loss,
      })}
      ${lineChart({
        title: 'Validation loss',
        about: 'On pictures that are not trained on: where it rises, training learns its pictures by heart.',
        lines: curve('validation', 'validation loss'),
      })}
      ${bins} ${lineChart({ title: 'Learning rate', fromZero: true, lines: curve('learningRate', 'learning rate') })}
      ${lineChart({ title: 'Gradient norm', about: 'Before clipping.', fromZero: true, lines: curve('gradNorm', 'norm') })}
    </div>
  </section>`;
}
