import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { isRecord } from '../io/json.ts';
import { type Html, html } from './html.ts';
import { inlinePicture } from './inline-picture.ts';
import { formatValue } from './line-chart.ts';
import type { RunRecord } from './run-record.ts';

/** Rows of a run's table, the hardest pictures first. */
const mostRows = 100;

interface Caption {
  readonly text: string;
  readonly score: number | undefined;
  readonly captioner: string | undefined;
  /** What the captioner was set to, as JSON. */
  readonly settings: string | undefined;
}

/** Captions and their scores out of captions.jsonl, by the picture's hash and by its name. */
async function captionsOf({ runDir, config }: RunRecord): Promise<ReadonlyMap<string, readonly Caption[]>> {
  const captions = new Map<string, Caption[]>();
  // A table in the cache serves other configs too: it is this run's where the run has captioners.
  const own = config && config.caption.captioners.length > 0 ? config : undefined;
  const files = [
    join(runDir, 'captions.jsonl'),
    ...(own && own.caption.output !== 'auto' ? [own.caption.output] : []),
    ...(own ? [join(own.dataset.cache_dir, 'captions.jsonl')] : []),
  ];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      let row: unknown;
      try {
        row = JSON.parse(line);
      } catch {
        continue;
      }
      if (!isRecord(row) || typeof row['text'] !== 'string') continue;
      const { text, score, captioner, hash, picture, settings } = row;
      const key = typeof hash === 'string' ? hash : picture;
      if (typeof key !== 'string') continue;
      const caption = {
        text,
        score: typeof score === 'number' ? score : undefined,
        captioner: typeof captioner === 'string' ? captioner : undefined,
        settings: JSON.stringify(settings),
      };
      // The table only grows: a captioner's words by other settings, and other scores of the same words, are of old.
      const others = (captions.get(key) ?? []).filter(
        (other) =>
          other.captioner !== caption.captioner || (other.settings === caption.settings && other.text !== text),
      );
      captions.set(key, [...others, caption]);
    }
    if (captions.size > 0) break;
  }
  return captions;
}

/** Class pictures' ids: `class`, their folder's name, and the file. */
const classId = /^class\/([^/]+)\/(.+)$/;

/** Where a picture of a run lies, by its id `data set/path below its folder`. */
function picturePath({ config }: RunRecord, id: string): string | undefined {
  const [, folder, file] = classId.exec(id) ?? [];
  if (config && folder !== undefined && file !== undefined) {
    const own = config.dataset.sources.find(({ class_data_dir: path }) => path !== null && basename(path) === folder);
    return join(own?.class_data_dir ?? join(config.dataset.cache_dir, 'class-pictures', folder), file);
  }
  for (const { name, path } of config?.dataset.sources ?? []) {
    const prefix = `${name ?? basename(path)}/`;
    if (id.startsWith(prefix)) return join(path, id.slice(prefix.length));
  }
  return undefined;
}

async function pictureRow(
  record: RunRecord,
  { id, uses, loss, difficulty }: RunRecord['pictures'][number],
  captions: ReadonlyMap<string, readonly Caption[]>,
): Promise<Html> {
  const path = picturePath(record, id);
  const bytes = path === undefined ? undefined : await readFile(path).catch(() => undefined);
  const picture = path !== undefined && bytes ? await inlinePicture(path, 128) : undefined;
  const hash = bytes && createHash('sha256').update(bytes).digest('hex');
  const texts =
    [hash ?? '', id, id.slice(id.indexOf('/') + 1)].map((key) => captions.get(key)).find((found) => found) ?? [];
  return html`<tr>
    <td>
      ${picture ? html`<img src="${picture.url}" alt="" width="${picture.width}" height="${picture.height}" />` : html``}
    </td>
    <th scope="row">${classId.exec(id)?.[2] ?? id}${classId.test(id) && html` <span class="tag">class</span>`}</th>
    <td class="number">${uses}</td>
    <td class="number">${formatValue(loss)}</td>
    <td class="number">
      ${difficulty.toFixed(2)}<span class="gauge${difficulty > 1.25 && ' high'}" aria-hidden="true"
        ><i style="width:${Math.round(Math.min(100, difficulty * 50))}%"></i
      ></span>
    </td>
    ${
      captions.size > 0 &&
      html`<td class="words">
        ${texts.map(
          ({ text, score, captioner }) =>
            html`<p>
              ${text}
              <span class="quiet"
                >${[captioner, score?.toFixed(1)].filter((part) => part !== undefined).join(', ')}</span
              >
            </p>`,
        )}
      </td>`
    }
  </tr>`;
}

/** Every picture's part in the loss, the hardest first, with captions and scores where models made them. */
export async function picturesSection(records: readonly RunRecord[]): Promise<Html> {
  const tables: Html[] = [];
  for (const record of records) {
    const { pictures, label } = record;
    if (pictures.length === 0) continue;
    const captions = await captionsOf(record);
    const rows: Html[] = [];
    for (const picture of pictures.slice(0, mostRows)) rows.push(await pictureRow(record, picture, captions));
    tables.push(
      html`${records.length > 1 && html`<h3>${label}</h3>`}
        <div class="scroll card" tabindex="0" role="region" aria-label="Pictures of ${label}">
          <table class="pictures">
            <thead>
              <tr>
                <td></td>
                <th scope="col">picture</th>
                <th scope="col" class="number">uses</th>
                <th scope="col" class="number">mean loss</th>
                <th scope="col" class="number">difficulty</th>
                ${captions.size > 0 && html`<th scope="col">captions and scores</th>`}
              </tr>
            </thead>
            <tbody>
              ${rows}
            </tbody>
          </table>
        </div>
        ${pictures.length > mostRows && html`<p class="quiet">and ${pictures.length - mostRows} easier ones</p>`}`,
    );
  }
  if (tables.length === 0) return html``;
  return html`<section aria-labelledby="pictures">
    <h2 id="pictures">Training pictures</h2>
    <p class="quiet">
      Difficulty is a picture’s loss divided by what all had at the same noise levels: above 1 it is learned less well
      than the others. A picture far above the rest is worth a look: it may be blurred, cropped badly or captioned
      wrongly.
    </p>
    ${tables}
  </section>`;
}
