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

/** What the runs took: stages, parts of a step, memory. */
export function timingsSection(records: readonly RunRecord[]): Html {
  const row = (name: string, value: (record: RunRecord) => string): Html =>
    html`<tr>
      <th scope="row">${name}</th>
      ${records.map((record) => html`<td class="number">${value(record)}</td>`)}
    </tr>`;
  const step = ({ stepSeconds: { data, compute, update } }: RunRecord): number => data + compute + update;
  const part = (name: 'data' | 'compute' | 'update') => (record: RunRecord) =>
    `${formatDuration(record.stepSeconds[name])} (${Math.round((100 * record.stepSeconds[name]) / (step(record) || 1))}%)`;
  return html`<section aria-labelledby="timings">
    <h2 id="timings">Timings</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of timings">
      <table>
        <thead>
          <tr>
            <th scope="col">what</th>
            ${records.map(({ label }) => html`<th scope="col" class="number">${label}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${stages
            .filter(([stage]) => records.some(({ stageSeconds }) => stageSeconds.has(stage)))
            .map(([stage, name]) =>
              row(name, ({ stageSeconds }) => {
                const seconds = stageSeconds.get(stage);
                return seconds === undefined ? '-' : formatDuration(seconds);
              }),
            )}
          ${row('a step', (record) => formatDuration(step(record)))} ${row('of it waiting for data', part('data'))}
          ${row('of it forward and backward', part('compute'))} ${row('of it clipping and optimizer', part('update'))}
          ${row('memory at most', ({ peakMemoryMiB }) => `${peakMemoryMiB} MiB`)}
        </tbody>
      </table>
    </div>
  </section>`;
}
