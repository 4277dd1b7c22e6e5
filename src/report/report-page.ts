import { formatBytes } from '../io/format-bytes.ts';
import { formatDuration } from '../log/plain-log.ts';
import { smoothed, smoothingSteps } from '../log/series.ts';
import { curvesSection } from './curves-section.ts';
import { filesSection } from './files-section.ts';
import { type Html, html } from './html.ts';
import { formatValue } from './line-chart.ts';
import { metricsSection } from './metrics-section.ts';
import { pageScript } from './page-script.ts';
import { pageStyle, styleWithoutScripts } from './page-style.ts';
import { picturesSection } from './pictures-section.ts';
import type { RunRecord } from './run-record.ts';
import { samplesSection } from './samples-section.ts';
import { settingsSection } from './settings-section.ts';
import { timingsSection, totalSeconds } from './timings-section.ts';

const stateNames = { 'under way': 'under way', done: 'done', stopped: 'stopped', failed: 'failed' } as const;

function state(record: RunRecord): Html {
  return html`<span class="state ${record.state.replace(' ', '-')}">${stateNames[record.state]}</span>`;
}

function began({ began }: RunRecord): Html {
  const iso = new Date(began).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`;
}

/** What a run came to: a number, and a word on it. */
interface Fact {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

function factsOf(record: RunRecord): readonly Fact[] {
  const { step, maxTrainSteps, loss, validation, metrics, exports } = record;
  const points = loss.points();
  const smooth = smoothed(points, smoothingSteps(points)).at(-1);
  const [first, last] = [metrics[0], metrics.at(-1)];
  const from = (value: number | undefined): Pick<Fact, 'note'> =>
    value === undefined || first === last ? {} : { note: `from ${value.toFixed(3)}` };
  const held = validation.points();
  const bytes = exports.find(
    ({ format, bytes }) => bytes !== undefined && format !== 'captions' && format !== 'page',
  )?.bytes;
  return [
    { name: 'Steps', value: String(step), ...(step < maxTrainSteps && { note: `of ${maxTrainSteps}` }) },
    ...(smooth === undefined
      ? []
      : [{ name: 'Loss, smoothed', value: formatValue(smooth), note: `from ${formatValue(points[0]?.mean ?? 0)}` }]),
    ...(held.length > 0
      ? [
          {
            name: 'Validation loss',
            value: formatValue(validation.last() ?? 0),
            ...(held.length > 1 && { note: `from ${formatValue(held[0]?.mean ?? 0)}` }),
          },
        ]
      : []),
    ...(last?.subject
      ? [
          { name: 'CLIP-I', value: last.subject.clipI.toFixed(3), ...from(first?.subject?.clipI) },
          { name: 'CLIP-T', value: last.subject.clipT.toFixed(3), ...from(first?.subject?.clipT) },
        ]
      : []),
    ...(last?.class?.clipIToStart === undefined
      ? []
      : [{ name: 'Class kept', value: last.class.clipIToStart.toFixed(3), note: '1 is unchanged' }]),
    { name: 'Time', value: formatDuration(totalSeconds(record)) },
    ...(bytes === undefined ? [] : [{ name: 'Adapter', value: formatBytes(bytes) }]),
  ];
}

function summary(records: readonly RunRecord[]): Html {
  const [record] = records;
  if (record && records.length === 1) {
    const facts = factsOf(record);
    return html`<p>
        ${state(record)} <span class="quiet">on</span> ${record.model}<span class="quiet"
          >, began ${began(record)}, in</span
        >
        ${record.label}
      </p>
      <dl class="facts" style="--facts:${facts.length};--half:${Math.ceil(facts.length / 2)}">
        ${facts.map(
          ({ name, value, note }) =>
            html`<div>
              <dt>${name}</dt>
              <dd>${value}${note !== undefined && html`<small>${note}</small>`}</dd>
            </div>`,
        )}
      </dl>`;
  }
  const facts = records.map((record) => new Map(factsOf(record).map((fact) => [fact.name, fact])));
  const names = [...new Set(facts.flatMap((of) => [...of.keys()]))];
  return html`<div class="scroll card" tabindex="0" role="region" aria-label="The runs">
    <table class="runs-table">
      <thead>
        <tr>
          <th scope="col">run</th>
          <th scope="col">state</th>
          ${names.map((name) => html`<th scope="col" class="number">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${records.map(
          (record, run) =>
            html`<tr>
              <th scope="row">
                <span class="key c${run % 8}"><b>${record.label}</b></span
                ><br /><span class="quiet small">${record.model}, ${began(record)}</span>
              </th>
              <td>${state(record)}</td>
              ${names.map((name) => html`<td class="number">${facts[run]?.get(name)?.value ?? '-'}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Warnings that are shown: the record has all. */
const mostWarnings = 50;

/** The page about runs: HTML that needs no other file. */
export async function reportPage(records: readonly RunRecord[]): Promise<string> {
  const title = records.length === 1 ? (records[0]?.name ?? '') : records.map(({ label }) => label).join(', ');
  const sections = [
    await samplesSection(records),
    metricsSection(records),
    curvesSection(records),
    await picturesSection(records),
    settingsSection(records),
    timingsSection(records),
    filesSection(records),
  ].filter(({ html }) => html !== '');
  const links = sections.map((section) => {
    const [, id = '', name = ''] = /<h2 id="(\w+)">([^<]*)</.exec(section.html) ?? [];
    return html`<li><a href="#${id}">${name}</a></li>`;
  });
  const warnings = records.flatMap(({ label, warnings }) =>
    warnings.map(
      (text) => html`<p class="warning"><strong>Warning</strong> ${records.length > 1 && `${label}: `}${text}</p>`,
    ),
  );
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="sana-train" />
        <title>${title} - sana-train</title>
        <link rel="icon" href="data:," />
        <style>
          ${{ html: pageStyle }}
        </style>
        <noscript
          ><style>
            ${{ html: styleWithoutScripts }}
          </style></noscript
        >
      </head>
      <body>
        <header>
          <p class="made">
            ${records.length === 1 ? 'Training report' : `Comparison of ${records.length} training runs`} · sana-train
          </p>
          <h1>${title}</h1>
          ${summary(records)}
        </header>
        <nav aria-label="Sections">
          <ul>
            ${links}
          </ul>
        </nav>
        <main>
          ${
            warnings.length > 0 &&
            html`<section class="warnings" aria-label="Warnings">
              ${warnings.slice(0, mostWarnings)}
              ${warnings.length > mostWarnings && html`<p class="quiet">and ${warnings.length - mostWarnings} more</p>`}
            </section>`
          }
          ${sections}
        </main>
        <script>
          ${{ html: pageScript }};
        </script>
      </body>
    </html> `.html;
}
