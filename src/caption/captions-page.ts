import { bucketName } from '../../datasets/buckets.ts';
import { readPictureFile } from '../../datasets/picture-file.ts';
import type { DatasetReport, ReportEntry } from '../../datasets/report.ts';
import { openPicture } from '../images/open-picture.ts';
import { writeAtomically } from '../io/atomic-write.ts';
import type { CaptionedPicture } from './caption-pictures.ts';
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
}

const style = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid #8884; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
img { display: block; border-radius: 4px; max-width: 128px; }
ul { margin: 0; padding: 0; list-style: none; }
li { display: grid; grid-template-columns: 3.6rem 3.6rem 1fr; gap: .6rem; padding: .15rem 0; }
li i { grid-column: 3; }
.number { font-variant-numeric: tabular-nums; text-align: right; }
.bar { background: linear-gradient(90deg, #4a90d955 var(--share), transparent var(--share)); }
small, i { opacity: .75; }
.bad { color: #c0392b; opacity: 1; }`;

// Sorting needs no library: each row carries its keys.
const script = `
const body = document.querySelector('tbody');
for (const button of document.querySelectorAll('th button')) button.addEventListener('click', () => {
  const head = button.parentElement, key = button.dataset.key;
  const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
  for (const other of head.parentElement.children) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending');
  const value = (row) => row.dataset[key];
  const compare = (a, b) => key === 'name' ? value(a).localeCompare(value(b)) : value(a) - value(b);
  body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
});`;

/** Text as it may stand in a page, also within quotes. */
function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? '');
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

function captionItems({ captions, failures }: CaptionedPicture, choice: ChoiceOptions): string {
  const probabilities = captionProbabilities(captions, choice);
  const items = captions.map(({ text, source, score, excess }, i) => {
    const share = `${Math.round(100 * (probabilities[i] ?? 0))}%`;
    const over = excess > 0 ? `, ${excess} tokens more than CLIP reads at once` : '';
    return `<li><span class="number">${score === undefined ? '' : score.toFixed(2)}</span><span class="number bar" style="--share:${share}">${share}</span><span>${escaped(text)}</span><i>${escaped(source)}${over}</i></li>`;
  });
  const failed = failures.map(
    ({ captioner, reason }) =>
      `<li><span></span><span></span><span class="bad">${escaped(captioner)}: ${escaped(reason)}</span></li>`,
  );
  return `<ul>${[...items, ...failed].join('')}</ul>`;
}

async function pictureRow(
  picture: CaptionedPicture,
  entry: ReportEntry | undefined,
  { choice, minScore }: CaptionsPage,
): Promise<string> {
  const { example, captions } = picture;
  const { path, height, width } = example.picture;
  const source = await thumbnail(path);
  const scores = captions.flatMap(({ score }) => (score === undefined ? [] : [score]));
  const best = scores.length === 0 ? undefined : Math.max(...scores);
  const isWeak = best !== undefined && minScore !== null && best < minScore;
  const notes = (entry?.notes ?? []).map(({ message }) => `<br><small>${escaped(message)}</small>`).join('');
  const buckets = example.buckets.map(bucketName).join(', ');
  return `<tr data-name="${escaped(example.id)}" data-score="${best ?? -1}" data-captions="${captions.length}" data-pixels="${height * width}">
<td>${source === undefined ? '' : `<img loading="lazy" alt="" src="${source}">`}${escaped(example.id)}</td>
<td class="number${isWeak ? ' bad' : ''}">${best?.toFixed(2) ?? ''}</td>
<td>${captionItems(picture, choice)}</td>
<td class="number">${width} x ${height}<br><small>${escaped(buckets)}</small>${notes}</td></tr>\n`;
}

/** Files that are not in the table, and why. */
function leftOut({ entries, notes }: DatasetReport): string {
  const lines = entries
    .filter(({ status }) => status === 'left-out')
    .map(({ dataset, name, notes }) => `${dataset}/${name}: ${notes.map(({ message }) => message).join(' ')}`);
  const all = [...lines, ...notes.map(({ message }) => message)];
  if (all.length === 0) return '';
  return `<h2>Not in the table</h2>\n${all.map((line) => `<p>${escaped(line)}</p>`).join('\n')}\n`;
}

/**
 * Writes captions.html: every picture with its captions, their scores, how likely each is to be drawn, sizes, buckets
 * and remarks; one file that needs no other, sorted by a click. It is written row by row, so that memory does not grow
 * with the pictures.
 */
export async function writeCaptionsPage(path: string, page: CaptionsPage): Promise<void> {
  const { title, pictures, choice, report } = page;
  const entries = new Map(report.entries.map((entry) => [`${entry.dataset}/${entry.name}`, entry]));
  const encoder = new TextEncoder();
  const missing = pictures.filter(({ failures }) => failures.length > 0).length;
  const heads = [
    ['name', 'Picture'],
    ['score', 'Best'],
    ['captions', 'Score, share of draws, caption'],
    ['pixels', 'Size'],
  ].map(([key, name]) => `<th scope="col"><button data-key="${key}">${name}</button></th>`);
  await writeAtomically(path, async (append) => {
    const write = (text: string): Promise<void> => append(encoder.encode(text));
    await write(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escaped(title)}</title><style>${style}</style></head><body>
<h1>${escaped(title)}</h1>
<p>${pictures.length} pictures, ${missing === 0 ? 'all captioned' : `${missing} without some caption`}; drawn by ${choice.selection}.</p>
<table><thead><tr>${heads.join('')}</tr></thead><tbody>
`);
    for (const picture of pictures) await write(await pictureRow(picture, entries.get(picture.example.id), page));
    await write(`</tbody></table>\n${leftOut(report)}<script>${script}</script></body></html>\n`);
  });
}
