import { curvesSection } from './curves-section.ts';
import { filesSection } from './files-section.ts';
import { type Html, html } from './html.ts';
import { formatValue } from './line-chart.ts';
import { pageScript } from './page-script.ts';
import { pageStyle, styleWithoutScripts } from './page-style.ts';
import { picturesSection } from './pictures-section.ts';
import type { RunRecord } from './run-record.ts';
import { samplesSection } from './samples-section.ts';
import { settingsSection } from './settings-section.ts';
import { timingsSection } from './timings-section.ts';

function summary({ label, model, state, step, maxTrainSteps, began, loss }: RunRecord): Html {
  const last = loss.points().at(-1);
  return html`<p>
    <strong>${label}</strong>: ${model}, ${state}, step ${step} of
    ${maxTrainSteps}${last && `, loss ${formatValue(last.mean)}`}, began
    <time datetime="${new Date(began).toISOString()}"
      >${new Date(began).toISOString().slice(0, 16).replace('T', ' ')} UTC</time
    >
  </p>`;
}

/** The page about runs: HTML that needs no other file. */
export async function reportPage(records: readonly RunRecord[]): Promise<string> {
  const title = records.length === 1 ? (records[0]?.name ?? '') : records.map(({ label }) => label).join(', ');
  const sections = [
    await samplesSection(records),
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
    warnings.map((text) => html`<p class="warning">${records.length > 1 && `${label}: `}${text}</p>`),
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
          <h1>${title}</h1>
          ${records.map(summary)}
          <nav aria-label="Sections">
            <ul>
              ${links}
            </ul>
          </nav>
        </header>
        <main>${warnings.length > 0 && html`<section aria-label="Warnings">${warnings}</section>`} ${sections}</main>
        <script>
          ${{ html: pageScript }};
        </script>
      </body>
    </html> `.html;
}
