import type { Stage } from '../events.ts';
import { formatDuration } from '../log/plain-log.ts';
import { type Html, html } from './html.ts';
import type { RunRecord } from './run-record.ts';

const stages: readonly (readonly [Stage, string])[] = [
  ['download', 'downloads'],
  ['captions', 'captions'],
  ['cache', 'latents and text embeddings'],
  ['train', 'training steps'],
  ['sample', 'samples'],
  ['export', 'export'],
];

const measuring = 'measuring samples';

/** What a run took, without the time between its sessions. */
export function totalSeconds({ stageSeconds, metricsSeconds }: RunRecord): number {
  return [...stageSeconds.values()].reduce((sum, seconds) => sum + seconds, metricsSeconds);
}

/** What a run's time went into, in the order in which it goes. */
function partsOf({ stageSeconds, metricsSeconds }: RunRecord): ReadonlyMap<string, number> {
  const parts = stages.flatMap(([stage, name]) => {
    const seconds = stageSeconds.get(stage);
    return seconds === undefined ? [] : [[name, seconds] as const];
  });
  return new Map([...parts, ...(metricsSeconds > 0 ? [[measuring, metricsSeconds] as const] : [])]);
}

/** What the runs took: stages, parts of a step, memory. */
export function timingsSection(records: readonly RunRecord[]): Html {
  const parts = records.map(partsOf);
  const names = [...stages.map(([, name]) => name), measuring].filter((name) => parts.some((of) => of.has(name)));
  const row = (name: string, values: readonly string[], isPart = false): Html =>
    html`<tr>
      <th scope="row" ${isPart && html`class="part"`}>${name}</th>
      ${values.map((value) => html`<td class="number">${value}</td>`)}
    </tr>`;
  const stepOf = ({ stepSeconds: { data, compute, update } }: RunRecord): number => data + compute + update;
  const part = (name: 'data' | 'compute' | 'update'): readonly string[] =>
    records.map((record) => {
      const seconds = record.stepSeconds[name];
      return `${formatDuration(seconds)} (${Math.round((100 * seconds) / (stepOf(record) || 1))}%)`;
    });
  const head =
    records.length > 1 &&
    html`<thead>
      <tr>
        <td></td>
        ${records.map(({ label }) => html`<th scope="col" class="number">${label}</th>`)}
      </tr>
    </thead>`;
  const bars = records.map((record, run) => {
    const total = totalSeconds(record) || 1;
    return html`<p class="quiet small">${records.length > 1 && `${record.label}, `}${formatDuration(total)} in all</p>
      <div class="share" aria-hidden="true">
        ${[...(parts[run] ?? [])].map(
          ([name, seconds]) =>
            html`<span
              class="c${names.indexOf(name) % 8}"
              style="flex:${Math.round((1000 * seconds) / total)}"
            ></span>`,
        )}
      </div>`;
  });
  return html`<section aria-labelledby="timings">
    <h2 id="timings">Timings</h2>
    <div class="columns">
      <div class="card">
        ${bars}
        <div class="scroll-plain" tabindex="0" role="region" aria-label="Table of what the time went into">
          <table>
            ${head}
            <tbody>
              ${names.map(
                (name, i) =>
                  html`<tr>
                    <th scope="row">
                      <span class="key c${i % 8}"><b>${name}</b></span>
                    </th>
                    ${parts.map((of) => {
                      const seconds = of.get(name);
                      return html`<td class="number">${seconds === undefined ? '-' : formatDuration(seconds)}</td>`;
                    })}
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </div>
      <div class="scroll card" tabindex="0" role="region" aria-label="Table of a step’s time and of memory">
        <table>
          ${head}
          <tbody>
            ${row(
              'a step, on average',
              records.map((record) => formatDuration(stepOf(record))),
            )}
            ${row('waiting for data', part('data'), true)} ${row('forward and backward', part('compute'), true)}
            ${row('clipping and optimizer', part('update'), true)}
            ${row(
              'memory at most',
              records.map(({ peakMemoryMiB }) => `${peakMemoryMiB} MiB`),
            )}
          </tbody>
        </table>
      </div>
    </div>
  </section>`;
}
