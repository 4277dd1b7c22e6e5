import type { SampleMetrics } from '../events.ts';
import { type Html, html } from './html.ts';
import { type ChartLine, type ChartPoint, lineChart } from './line-chart.ts';
import type { MetricsRecord, RunRecord } from './run-record.ts';
import { pointsLine } from './series-line.ts';

/** Lines that a chart has a colour for. */
const mostLines = 8;
/** Rows of the table. */
const mostRows = 100;

type MetricName = 'clipI' | 'clipT' | 'clipIToStart';

/** A prompt of the table, and what each run has of it. */
interface Row {
  readonly prompt: string;
  readonly seed: number;
  readonly role: SampleMetrics['role'];
}

function keyOf({ prompt, seed }: Pick<Row, 'prompt' | 'seed'>): string {
  return JSON.stringify([prompt, seed]);
}

function sampleOf(metrics: MetricsRecord | undefined, row: Row): SampleMetrics | undefined {
  return metrics?.samples.find((sample) => keyOf(sample) === keyOf(row));
}

function rowsOf(records: readonly RunRecord[]): readonly Row[] {
  const rows = new Map<string, Row>();
  for (const { metrics } of records) {
    for (const { samples } of metrics) for (const sample of samples) rows.set(keyOf(sample), sample);
  }
  return [...rows.values()].sort((a, b) => Number(a.role === 'class') - Number(b.role === 'class'));
}

/** What is drawn of a role's metric: a line a prompt of a single run, else the mean of each run. */
function linesOf(
  records: readonly RunRecord[],
  rows: readonly Row[],
  role: SampleMetrics['role'],
  name: MetricName,
): readonly ChartLine[] {
  const own = rows.filter((row) => row.role === role);
  const line = (label: string, color: number, record: RunRecord, value: (at: MetricsRecord) => number | undefined) => ({
    name: label,
    color: color % mostLines,
    ...pointsLine(
      record.metrics.flatMap((at): readonly ChartPoint[] => {
        const found = value(at);
        return found === undefined ? [] : [[at.step, found]];
      }),
    ),
  });
  const [first] = records;
  if (first && records.length === 1 && own.length <= mostLines) {
    return own.map((row, i) => line(row.prompt, i, first, (at) => sampleOf(at, row)?.[name]));
  }
  return records.map((record, run) =>
    line(records.length > 1 ? record.label : 'mean', run, record, (at) => at[role]?.[name]),
  );
}

function change(first: number | undefined, last: number | undefined): Html {
  if (last === undefined) return html`<td class="number quiet">-</td>`;
  const before = first === undefined || first === last ? undefined : first.toFixed(3);
  return html`<td class="number">
    ${before !== undefined && html`<span class="quiet">${before} → </span>`}${last.toFixed(3)}
  </td>`;
}

function table(records: readonly RunRecord[], rows: readonly Row[]): Html {
  const several = records.length > 1;
  const withStart = rows.some((row) =>
    records.some(({ metrics }) => sampleOf(metrics.at(-1), row)?.clipIToStart !== undefined),
  );
  return html`<div class="scroll card" tabindex="0" role="region" aria-label="Table of metrics by prompt">
      <table>
        <thead>
          <tr>
            <th scope="col">prompt</th>
            ${several && html`<th scope="col">run</th>`}
            <th scope="col" class="number">CLIP-I</th>
            <th scope="col" class="number">CLIP-T</th>
            ${withStart && html`<th scope="col" class="number">as at step 0</th>`}
          </tr>
        </thead>
        <tbody>
          ${rows.slice(0, mostRows).flatMap((row) => {
            const name = html`${row.prompt} ${row.role === 'class' && html`<span class="tag">class</span>`}`;
            const having = records.flatMap(({ metrics, label }, run) => {
              const [first, last] = [sampleOf(metrics[0], row), sampleOf(metrics.at(-1), row)];
              return last ? [{ first, last, label, run }] : [];
            });
            return having.map(
              ({ first, last, label, run }, i) =>
                html`<tr>
                  <th scope="row" class="words">${i === 0 ? name : html`<span class="hidden">${name}</span>`}</th>
                  ${several && html`<td><span class="key c${run % mostLines}">${label}</span></td>`}
                  ${change(first?.clipI, last.clipI)} ${change(first?.clipT, last.clipT)}
                  ${withStart && (row.role === 'class' ? change(undefined, last.clipIToStart) : html`<td></td>`)}
                </tr>`,
            );
          })}
        </tbody>
      </table>
    </div>
    ${rows.length > mostRows && html`<p class="quiet">and ${rows.length - mostRows} more prompts</p>`}`;
}

/** What a CLIP says of the samples: likeness to the subject, fit to the prompt, and what happened to the class. */
export function metricsSection(records: readonly RunRecord[]): Html {
  const rows = rowsOf(records);
  if (rows.length === 0) return html``;
  const models = [...new Set(records.flatMap(({ metrics }) => metrics.at(-1)?.model ?? []))];
  const chart = (role: SampleMetrics['role'], name: MetricName, title: string, about: string): Html =>
    lineChart({ title, about, lines: linesOf(records, rows, role, name) });
  return html`<section aria-labelledby="metrics">
    <h2 id="metrics">Metrics</h2>
    <p class="quiet">
      Cosines of ${models.join(' and ')}’s embeddings, as DreamBooth’s paper measures. CLIP-I compares samples with the
      training pictures, CLIP-T with their prompts. Prompts without the subject (class) should keep their pictures of
      step 0. Every CLIP has its own scale: compare numbers of one only.
    </p>
    <div class="charts">
      ${chart('subject', 'clipI', 'CLIP-I', 'How much samples look like the training pictures: higher is nearer.')}
      ${chart('subject', 'clipT', 'CLIP-T', 'How well samples fit their prompts: a fall says that the subject pushes all else aside.')}
    </div>
    ${
      rows.some(({ role }) => role === 'class') &&
      html`<h3>Prompts of the class</h3>
        <div class="charts three">
          ${chart('class', 'clipIToStart', 'As at step 0', 'CLIP-I with the picture of step 0 from the same seed: 1 is unchanged.')}
          ${chart('class', 'clipI', 'CLIP-I', 'Likeness to the training pictures: a rise says that the subject takes over its class.')}
          ${chart('class', 'clipT', 'CLIP-T', 'How well these samples fit their prompts.')}
        </div>`
    }
    <h3>First and last step</h3>
    ${table(records, rows)}
  </section>`;
}
