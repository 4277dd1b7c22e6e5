import { bucketName } from '../../datasets/buckets.ts';
import { completeCaption } from '../../datasets/caption-text.ts';
import { readPictureFile } from '../../datasets/picture-file.ts';
import type { DatasetReport, ReportEntry } from '../../datasets/report.ts';
import { openPicture } from '../images/open-picture.ts';
import { writeAtomically } from '../io/atomic-write.ts';
import { type Html, html } from '../report/html.ts';
import { lostTokens, type TextWindow } from '../text/lost-tokens.ts';
import type { CaptionedPicture } from './caption-pictures.ts';
import { captionsPageScript, captionsPageStyle } from './captions-page-style.ts';
import { captionsSummary, type LongCaption } from './captions-summary.ts';
import { captionProbabilities, type ChoiceOptions } from './choose-caption.ts';

/** What the page is made of. */
export interface CaptionsPage {
  readonly title: string;
  readonly pictures: readonly CaptionedPicture[];
  readonly choice: ChoiceOptions;
  /** Pictures whose best caption scores lower are marked. */
  readonly minScore: number | null;
  /** What was found in the folders: sizes, buckets, copies, and files that could not be used. */
  readonly report: DatasetReport;
  /** How the trained model reads captions; absent where its tokenizer is not here. */
  readonly window?: TextWindow;
}

/** A small picture as an address that holds it; undefined when it cannot be read any more. */
async function thumbnail(path: string): Promise<string | undefined> {
  try {
    const { bytes } = await readPictureFile(path);
    const small = await openPicture(bytes)
      .autoOrient()
      .resize({ width: 128, height: 128, fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 65 })
      .toBuffer();
    return `data:image/webp;base64,${small.toString('base64')}`;
  } catch {
    return undefined;
  }
}

const tokens = (count: number): string => `${count} ${count === 1 ? 'token' : 'tokens'}`;

function captionItems({ captions, failures }: CaptionedPicture, lost: readonly number[], choice: ChoiceOptions): Html {
  const probabilities = captionProbabilities(captions, choice);
  const items = captions.map(({ text, source, score, excess }, i) => {
    const share = `${Math.round(100 * (probabilities[i] ?? 0))}%`;
    const over = lost[i] ?? 0;
    return html`<li>
      <span class="number">${score?.toFixed(2)}</span><span class="number drawn" style="--share:${share}">${share}</span
      ><span>${text}</span
      ><span class="quiet"
        >${source}${excess > 0 && html`, ${tokens(excess)} more than CLIP reads at once`}${
          over > 0 && html`, <span class="bad">${tokens(over)} more than the model sees</span>`
        }</span
      >
    </li>`;
  });
  const failed = failures.map(
    ({ captioner, reason }) =>
      html`<li><span></span><span></span><span class="bad">${captioner}: ${reason}</span></li>`,
  );
  return html`<ul>
    ${[...items, ...failed]}
  </ul>`;
}

async function pictureRow(
  picture: CaptionedPicture,
  index: number,
  lost: readonly number[],
  entry: ReportEntry | undefined,
  { choice, minScore }: CaptionsPage,
): Promise<Html> {
  const { example, captions } = picture;
  const { path, height, width } = example.picture;
  const source = await thumbnail(path);
  const scores = captions.flatMap(({ score }) => (score === undefined ? [] : [score]));
  const best = scores.length === 0 ? undefined : Math.max(...scores);
  const isWeak = best !== undefined && minScore !== null && best < minScore;
  const words = Math.max(0, ...captions.map(({ text }) => text.split(/\s+/).length));
  const notes = (entry?.notes ?? [])
    // What lacked a caption when it was found has one now.
    .filter(({ kind }) => captions.length === 0 || (kind !== 'no-caption' && kind !== 'empty-caption'))
    .map(({ message }) => html`<br /><span class="quiet">${message}</span>`);
  return html`<tr
    id="p${index}"
    data-name="${example.id}"
    data-score="${best ?? -1}"
    data-words="${words}"
    data-pixels="${height * width}"
  >
    <td>${source !== undefined && html`<img loading="lazy" alt="" src="${source}" />`}${example.id}</td>
    <td class="number${isWeak ? ' bad' : ''}" data-label="best">${best?.toFixed(2)}</td>
    <td>${captionItems(picture, lost, choice)}</td>
    <td data-label="size">
      ${width} x ${height}<br /><span class="quiet">${example.buckets.map(bucketName).join(', ')}</span>${notes}
    </td>
  </tr> `;
}

const heads = [
  ['name', 'Picture'],
  ['score', 'Best'],
  ['words', 'Captions: score, share of draws'],
  ['pixels', 'Size'],
] as const;

/**
 * Writes captions.html: the data set as a whole, and every picture with its captions, their scores, how likely each is to
 * be drawn, what of it is not seen, sizes, buckets and remarks; one file that needs no other, sorted by a click. It is
 * written row by row, so that memory does not grow with the pictures.
 */
export async function writeCaptionsPage(path: string, page: CaptionsPage): Promise<void> {
  const { title, pictures, choice, report, window } = page;
  const entries = new Map(report.entries.map((entry) => [`${entry.dataset}/${entry.name}`, entry]));
  const lost = pictures.map(({ captions, example }) =>
    captions.map(({ text }) => (window ? lostTokens(completeCaption(text, example.dataset.captions), window) : 0)),
  );
  const long = pictures.flatMap(({ captions, example }, index) =>
    captions.flatMap(({ source }, i): LongCaption[] => {
      const count = lost[index]?.[i] ?? 0;
      return count > 0 ? [{ index, id: example.id, source, lost: count }] : [];
    }),
  );
  const seen = window && (window.maxSequenceLength ?? 300);
  const encoder = new TextEncoder();
  await writeAtomically(path, async (append) => {
    const write = (text: string): Promise<void> => append(encoder.encode(text));
    const begin = html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width" />
          <meta
            http-equiv="Content-Security-Policy"
            content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
          />
          <title>${title}</title>
          <style>
            ${{ html: captionsPageStyle }}
          </style>
        </head>
        <body>
          <main>
            <h1>${title}</h1>
            ${captionsSummary({ pictures, choice, report, long, window: seen })}
            <h2>Pictures</h2>
            <table class="captioned">
              <thead>
                <tr>
                  ${heads.map(([key, name]) => html`<th scope="col"><button data-key="${key}">${name}</button></th>`)}
                </tr>
              </thead>
              <tbody id="rows"></tbody>
            </table>
          </main>
        </body>
      </html>`.html;
    const rows = '<tbody id="rows">';
    const [before = '', after = ''] = begin.split(rows);
    await write(before + rows);
    for (const [index, picture] of pictures.entries()) {
      const row = await pictureRow(picture, index, lost[index] ?? [], entries.get(picture.example.id), page);
      await write(row.html);
    }
    await write(after.replace('</body>', () => `<script>${captionsPageScript}</script></body>`));
  });
}
