import { bucketCounts, type DatasetReport, type NoteKind } from '../../datasets/report.ts';
import { bucketName } from '../../datasets/buckets.ts';
import { type Html, html } from '../report/html.ts';
import type { CaptionedPicture } from './caption-pictures.ts';
import { captionProbabilities, type ChoiceOptions } from './choose-caption.ts';

/** A caption that the trained model does not see to its end. */
export interface LongCaption {
  /** The picture's place in the list of pictures. */
  readonly index: number;
  readonly id: string;
  readonly source: string;
  readonly lost: number;
}

/** What is said of all captions together. */
export interface CaptionsSummary {
  readonly pictures: readonly CaptionedPicture[];
  readonly choice: ChoiceOptions;
  readonly report: DatasetReport;
  readonly long: readonly LongCaption[];
  /** Tokens that the trained model sees of a caption; undefined where its tokenizer is not here. */
  readonly window: number | undefined;
}

const shown = 8;

function list(lines: readonly Html[]): Html {
  if (lines.length === 0) return html`<p class="quiet">none</p>`;
  const rest = lines.slice(shown);
  const items = (some: readonly Html[]): Html =>
    html`<ul class="list">
      ${some.map((line) => html`<li>${line}</li>`)}
    </ul>`;
  return html`${items(lines.slice(0, shown))}${
    rest.length > 0 &&
    html`<details>
      <summary>and ${rest.length} more</summary>
      ${items(rest)}
    </details>`
  }`;
}

function buckets(report: DatasetReport): Html {
  const counts = bucketCounts(report);
  const most = Math.max(1, ...counts.map(({ pictures }) => pictures));
  return html`<div>
    <h3>Buckets</h3>
    <table>
      <thead>
        <tr>
          <th scope="col">height x width</th>
          <th scope="col" class="number">pictures</th>
        </tr>
      </thead>
      <tbody>
        ${counts.map(
          ({ bucket, pictures }) =>
            html`<tr>
              <td>${bucketName(bucket)}</td>
              <td class="number drawn" style="--share:${Math.round((100 * pictures) / most)}%">${pictures}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function sizes({ entries }: DatasetReport): Html {
  const used = entries.flatMap(({ status, picture }) => (status === 'used' && picture ? [picture] : []));
  const sorted = used.toSorted((a, b) => a.height * a.width - b.height * b.width);
  const [smallest, middle, largest] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((at) => sorted[at]);
  if (!smallest || !middle || !largest) return html``;
  const size = ({ width, height }: { readonly width: number; readonly height: number }): string =>
    `${width} x ${height}`;
  const having = (kind: NoteKind): number =>
    entries.filter(({ status, notes }) => status === 'used' && notes.some((note) => note.kind === kind)).length;
  return html`<div>
    <h3>Sizes</h3>
    <ul class="list">
      <li>${used.length} pictures, width x height in pixels:</li>
      <li>smallest ${size(smallest)} (${smallest.name})</li>
      <li>median ${size(middle)}</li>
      <li>largest ${size(largest)} (${largest.name})</li>
      <li>${having('enlarged')} too small for a bucket, ${having('cut')} of an extreme shape</li>
    </ul>
  </div>`;
}

function copies({ entries }: DatasetReport): Html {
  const lines = entries.flatMap(({ dataset, name, notes }) =>
    notes
      .filter(({ kind }) => kind === 'duplicate' || kind === 'near-duplicate')
      .map(({ message }) => html`${dataset}/${name}: ${message}`),
  );
  return html`<div>
    <h3>Copies and look-alikes</h3>
    ${list(lines)}
  </div>`;
}

function captioners({ pictures, choice }: CaptionsSummary): Html {
  interface Row {
    captions: number;
    failed: number;
    scores: number[];
    best: number;
    drawn: number;
  }
  const rows = new Map<string, Row>();
  const rowOf = (name: string): Row => {
    const row = rows.get(name) ?? { captions: 0, failed: 0, scores: [], best: 0, drawn: 0 };
    rows.set(name, row);
    return row;
  };
  for (const { captions, failures } of pictures) {
    const shares = captionProbabilities(captions, choice);
    const best = Math.max(...captions.map(({ score }) => score ?? Number.NEGATIVE_INFINITY));
    captions.forEach(({ source, score }, i) => {
      const row = rowOf(source);
      row.captions++;
      row.drawn += (shares[i] ?? 0) / Math.max(1, pictures.length);
      if (score !== undefined) row.scores.push(score);
      if (score === best) row.best++;
    });
    for (const { captioner } of failures) rowOf(captioner).failed++;
  }
  const mean = (values: readonly number[]): string =>
    values.length === 0 ? '' : (values.reduce((a, b) => a + b, 0) / values.length).toFixed(2);
  const heads = ['captions', 'failed', 'mean score', 'best of a picture', 'share of draws'];
  return html`<div class="scroll" role="region" aria-label="Captioners" tabindex="0">
    <table>
      <thead>
        <tr>
          <th scope="col">captioner</th>
          ${heads.map((head) => html`<th scope="col" class="number">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${[...rows].map(
          ([name, { captions, failed, scores, best, drawn }]) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td class="number">${captions}</td>
              <td class="number${failed > 0 ? ' bad' : ''}">${failed}</td>
              <td class="number">${mean(scores)}</td>
              <td class="number">${scores.length > 0 ? best : ''}</td>
              <td class="number">${Math.round(100 * drawn)}%</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function longCaptions({ long, window, pictures }: CaptionsSummary): Html {
  if (window === undefined) {
    return html`<p class="quiet">
      How long they are for the trained model was not looked at: its tokenizer is not here.
    </p>`;
  }
  const count = pictures.reduce((sum, { captions }) => sum + captions.length, 0);
  const lines = long.map(
    ({ index, id, source, lost }) =>
      html`<a href="#p${index}">${id}</a>: ${lost} ${lost === 1 ? 'token' : 'tokens'} too long (${source})`,
  );
  return html`<div class="long">
    <h3>Too long for the model, which sees ${window} tokens: ${long.length} of ${count}</h3>
    ${list(lines)}
  </div>`;
}

/** Files that are in no row, and why. */
function leftOut({ entries, notes }: DatasetReport): Html {
  const lines = entries
    .filter(({ status }) => status === 'left-out')
    .map(({ dataset, name, notes }) => html`${dataset}/${name}: ${notes.map(({ message }) => message).join(' ')}`);
  return html`<div>
    <h3>Not used</h3>
    ${list([...lines, ...notes.map(({ message }) => html`${message}`)])}
  </div>`;
}

/** The data set as a whole: buckets, sizes, copies, what was left out, and who captioned how well. */
export function captionsSummary(summary: CaptionsSummary): Html {
  const { pictures, report, choice } = summary;
  const failing = pictures.filter(
    ({ captions, failures }) => failures.length > 0 || captions.every(({ text }) => text === ''),
  ).length;
  const clipLong = pictures.flatMap(({ captions }) => captions).filter(({ excess }) => excess > 0).length;
  return html`<p>
      ${pictures.length} pictures, ${failing === 0 ? 'all captioned' : `${failing} without some caption`}; drawn by
      ${choice.selection}.
    </p>
    <section aria-labelledby="dataset">
      <h2 id="dataset">Data set</h2>
      <div class="summary">${buckets(report)} ${sizes(report)} ${copies(report)} ${leftOut(report)}</div>
    </section>
    <section aria-labelledby="captions">
      <h2 id="captions">Captions</h2>
      ${captioners(summary)} ${longCaptions(summary)}
      ${clipLong > 0 && html`<p>${clipLong} have more tokens than CLIP reads at once; their rows say how many.</p>`}
    </section>`;
}
