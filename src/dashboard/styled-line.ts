import stringWidth from 'string-width';

import type { ColorDepth } from './picture-rows.ts';

/** What a text is, which decides its colour. */
export type Tone = 'title' | 'key' | 'good' | 'line' | 'raw' | 'warning' | 'quiet' | 'cursor';

/** A piece of a line: a text, plain or with a tone. */
export type Piece = string | readonly [tone: Tone, text: string];

/** Codes of SGR. Named colours, which a terminal's own theme makes readable on its background. */
const codes: Readonly<Record<Tone, string>> = {
  title: '1;96',
  key: '1',
  good: '32',
  line: '96',
  raw: '2;36',
  warning: '1;33',
  quiet: '2',
  cursor: '7',
};

/** Without colours only weight is left. */
const codesWithout: Readonly<Record<Tone, string>> = {
  title: '1',
  key: '1',
  good: '',
  line: '',
  raw: '',
  warning: '1',
  quiet: '',
  cursor: '7',
};

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
// oxlint-disable-next-line no-control-regex
const narrow = /^[\u0020-\u007e\u2500-\u259f\u2800-\u28ff]*$/;

/** Columns that a text takes. What the dashboard draws with is one column a character, and needs no measuring. */
export function widthOf(text: string): number {
  return narrow.test(text) ? text.length : stringWidth(text);
}

/** The beginning of a text that fits so many columns; where something is cut off, the last is an ellipsis. */
function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return '';
  let [kept, room] = ['', width - 1];
  for (const { segment } of graphemes.segment(text)) {
    room -= stringWidth(segment);
    if (room < 0) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Pieces as a line of exactly so many columns, with the codes of their tones: cut, or filled up with blanks. */
export function styledLine(pieces: readonly Piece[], width: number, depth: ColorDepth): string {
  const table = depth === 'none' ? codesWithout : codes;
  let [line, room] = ['', width];
  for (const piece of pieces) {
    const [tone, whole] = typeof piece === 'string' ? [undefined, piece] : piece;
    const text = cut(whole, room);
    room -= widthOf(text);
    const code = tone === undefined ? '' : table[tone];
    line += code === '' || text === '' ? text : `\u001b[${code}m${text}\u001b[0m`;
    if (text !== whole) break;
  }
  return line + ' '.repeat(Math.max(0, room));
}

/** Two groups of pieces as one line: the second ends where the line ends, and the first gives way to it. */
export function withEnd(pieces: readonly Piece[], end: readonly Piece[], width: number, depth: ColorDepth): string {
  const size = end.reduce((sum, piece) => sum + widthOf(typeof piece === 'string' ? piece : piece[1]), 0);
  if (size === 0 || size >= width) return styledLine(size === 0 ? pieces : end, width, depth);
  return `${styledLine(pieces, width - size - 1, depth)} ${styledLine(end, size, depth)}`;
}
