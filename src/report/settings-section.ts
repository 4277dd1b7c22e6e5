import { stringify } from 'yaml';

import { changesFromDefaults } from '../config/resolved-config.ts';
import { isRecord } from '../io/json.ts';
import { type Html, html } from './html.ts';
import { type RunRecord, shortPath } from './run-record.ts';

/** A value without the places of this machine in it: a report is made to be shown. */
function withoutPlaces(value: unknown): unknown {
  if (typeof value === 'string') return shortPath(value);
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (isRecord(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutPlaces(item)]));
  return value;
}

function shown(value: unknown): string {
  if (typeof value === 'string' && value !== '') return shortPath(value);
  if (Array.isArray(value) && value.length > 0) return value.map(shown).join(', ');
  if (value === null || (Array.isArray(value) && value.length === 0)) return 'none';
  // Captioners: what they are says enough here.
  if (isRecord(value) && typeof value['type'] === 'string') {
    const { type, name, model, template } = value;
    return [type, ...[name ?? model ?? template].filter((part) => typeof part === 'string').map(shortPath)].join(' ');
  }
  // Prompts of samples: their texts say enough here, and the YAML below the rest.
  if (isRecord(value) && typeof value['prompt'] === 'string') return JSON.stringify(value['prompt']);
  return JSON.stringify(withoutPlaces(value));
}

/** What the runs were told: differences from the defaults side by side, and everything as YAML. */
export function settingsSection(records: readonly RunRecord[]): Html {
  const columns = records.map(({ config }) =>
    config ? new Map(changesFromDefaults(config).map((change) => [change.option, change])) : undefined,
  );
  const options = [...new Set(columns.flatMap((column) => [...(column?.keys() ?? [])]))];
  const rows = options.map((option) => {
    const value = (column: (typeof columns)[number]): string => {
      const change = column?.get(option);
      return change ? shown(change.to) : column ? 'default' : '?';
    };
    const byDefault = columns.find((column) => column?.has(option))?.get(option)?.from;
    const differs = records.length > 1 && new Set(columns.map(value)).size > 1;
    const isOnlySource = records.every(({ config }) => config?.dataset.sources.length === 1);
    return html`<tr ${differs && html`class="differs"`}>
      <th scope="row"><code>${isOnlySource ? option.replace('dataset.sources.0.', 'dataset.') : option}</code></th>
      ${columns.map((column) => html`<td>${value(column)}</td>`)}
      <td class="quiet">${byDefault === undefined ? '' : shown(byDefault)}</td>
    </tr>`;
  });
  return html`<section aria-labelledby="settings">
    <h2 id="settings">Settings</h2>
    <p class="quiet">
      What differs from the defaults${records.length > 1 && '; bold where the runs differ from one another'}.
    </p>
    ${
      rows.length > 0
        ? html`<div class="scroll card" tabindex="0" role="region" aria-label="Settings that differ from the defaults">
            <table class="settings">
              <thead>
                <tr>
                  <th scope="col">option</th>
                  ${records.map(({ label }) => html`<th scope="col">${label}</th>`)}
                  <th scope="col">default</th>
                </tr>
              </thead>
              <tbody>
                ${rows}
              </tbody>
            </table>
          </div>`
        : columns.includes(undefined)
          ? html`<p>No config.yaml that this version can read.</p>`
          : html`<p>All settings are the defaults.</p>`
    }
    ${records.map(
      ({ label, config }) =>
        html`<details>
          <summary>All settings of ${label}</summary>
          <pre tabindex="0">
${config ? stringify(withoutPlaces(config), { aliasDuplicateObjects: false }) : 'config.yaml cannot be read by this version.'}</pre>
        </details>`,
    )}
  </section>`;
}
