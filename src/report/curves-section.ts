import { smoothed, smoothingSteps } from '../log/series.ts';
import { type Html, html } from './html.ts';
import { type ChartLine, lineChart } from './line-chart.ts';
import type { RunRecord } from './run-record.ts';

/** Loss, learning rate, gradient norm and validation over steps, the runs over one another. */
export function curvesSection(records: readonly RunRecord[]): Html {
  const several = records.length > 1;
  const named = (label: string, name: string): string => (several ? `${label}: ${name}` : name);
  const loss = records.flatMap(({ loss, label }, run): readonly ChartLine[] => {
    const points = loss.points();
    const raw = points.map(({ to, mean }) => [to, mean] as const);
    const smooth = smoothed(points, smoothingSteps(points)).map((value, i) => [points[i]?.to ?? 0, value] as const);
    const band = points.map(({ to, min, max }) => [to, min, max] as const);
    return [
      { name: named(label, 'loss'), color: run % 8, points: raw, faint: true, band },
      { name: named(label, 'smoothed'), color: run % 8, points: smooth },
    ];
  });
  const curve = (key: 'learningRate' | 'gradNorm', name: string): readonly ChartLine[] =>
    records.map((record, run) => ({
      name: named(record.label, name),
      color: run % 8,
      points: record[key].points().map(({ to, mean }) => [to, mean] as const),
    }));
  const validation = records.map(({ validations, label }, run): ChartLine => ({
    name: named(label, 'validation loss'),
    color: run % 8,
    points: validations.map(({ step, loss }) => [step, loss] as const),
  }));
  const bins = records.map(({ validations, label }) => {
    const names = new Map<string, (readonly [number, number])[]>();
    for (const { step, bins } of validations) {
      for (const { from, to, loss } of bins) {
        const name = `sigma ${from.toFixed(2)} to ${to.toFixed(2)}`;
        names.set(name, [...(names.get(name) ?? []), [step, loss]]);
      }
    }
    return lineChart({
      title: named(label, 'validation loss by noise level'),
      about: 'Low sigma is detail, high sigma is composition.',
      lines: [...names].map(([name, points], i) => ({ name, color: i % 8, points })),
    });
  });
  return html`<section aria-labelledby="curves">
    <h2 id="curves">Curves</h2>
    <div class="charts">
      ${lineChart({
        title: 'Loss',
        about: 'Each step’s loss jumps with the noise that is drawn; the smoothed line shows where it goes.',
        lines: loss,
      })}
      ${lineChart({
        title: 'Validation loss',
        about: 'On pictures that are not trained on: where it rises, training learns its pictures by heart.',
        lines: validation,
      })}
      ${bins} ${lineChart({ title: 'Learning rate', fromZero: true, lines: curve('learningRate', 'learning rate') })}
      ${lineChart({ title: 'Gradient norm', about: 'Before clipping.', fromZero: true, lines: curve('gradNorm', 'norm') })}
    </div>
  </section>`;
}
