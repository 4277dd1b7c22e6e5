import ansiEscapes from 'ansi-escapes';
import stringWidth from 'string-width';

import type { Drawing } from './drawing.ts';
import type { Marked } from './marks.ts';

/** Matches a mark. */
const anyMark = /[\u{100000}-\u{10fffd}]/gu;

/** Half of a mark, as JavaScript keeps characters of plane 16: rows without any are seen through quickly. */
const halfMark = /[\udbc0-\udbff]/;

/** A piece of a row: text of Ink's, or the box of a mark. */
interface Piece {
  readonly text: string;
  readonly columns: number;
  readonly mark?: string;
}

/** Where a frame has the box of a mark. */
interface Place {
  readonly mark: string;
  readonly row: number;
  readonly column: number;
  readonly columns: number;
  rows: number;
  /** What is to be seen there; undefined for nothing yet, or where the box is cut off. */
  drawing: Drawing | undefined;
}

/** Puts frames on a terminal. */
export interface Screen {
  /** Shows a frame of Ink's, made of boxes of marks. */
  show(frame: string): void;
  /** Shows the last frame with what its marks stand for now; `all` for where nobody knows what the terminal shows. */
  again(from?: 'all'): void;
  /** Takes all pictures off the terminal. */
  close(): void;
}

/** The pieces of a row. A mark stands in the first column of its box; the blanks behind it are the box's too. */
function piecesOf(line: string, find: (mark: string) => Marked | undefined): readonly Piece[] {
  if (!halfMark.test(line)) return line === '' ? [] : [{ text: line, columns: stringWidth(line) }];
  const pieces: Piece[] = [];
  const add = (text: string): void => {
    if (text !== '') pieces.push({ text, columns: stringWidth(text) });
  };
  let end = 0;
  for (const { 0: mark, index } of line.matchAll(anyMark)) {
    add(line.slice(end, index));
    const columns = find(mark)?.columns ?? 1;
    pieces.push({ text: '', columns, mark });
    end = index + mark.length + columns - 1;
  }
  add(line.slice(end));
  return pieces;
}

/** The boxes of marks in a frame, by mark and column. */
function placesOf(rows: readonly (readonly Piece[])[], find: (mark: string) => Marked | undefined): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [row, pieces] of rows.entries()) {
    let column = 0;
    for (const { columns, mark } of pieces) {
      if (mark !== undefined) {
        const place = places.get(`${mark} ${column}`);
        if (place && place.row + place.rows === row) place.rows++;
        else places.set(`${mark} ${column}`, { mark, row, column, columns, rows: 1, drawing: undefined });
      }
      column += columns;
    }
  }
  for (const place of places.values()) {
    const marked = find(place.mark);
    const isWhole = marked?.columns === place.columns && marked.rows === place.rows;
    // Text may be cut off below; a picture is whole or not there.
    if (isWhole || marked?.drawing?.kind === 'text') place.drawing = marked?.drawing;
  }
  return places;
}

/** A frame as text alone: every box with its lines, and blanks where graphics are or will be. */
export function textOfFrame(frame: string, find: (mark: string) => Marked | undefined): readonly string[] {
  const rows = frame.split('\n').map((line) => piecesOf(line, find));
  const places = placesOf(rows, find);
  return rows.map((pieces, row) => rowText(pieces, row, places, (columns) => ' '.repeat(columns)));
}

/** A row's text; `graphic` says what is in the cells of a graphic. */
function rowText(
  pieces: readonly Piece[],
  row: number,
  places: ReadonlyMap<string, Place>,
  graphic: (columns: number, place: Place) => string,
): string {
  let [text, column] = ['', 0];
  for (const piece of pieces) {
    const place = piece.mark === undefined ? undefined : places.get(`${piece.mark} ${column}`);
    if (piece.mark === undefined) text += piece.text;
    else if (place?.drawing?.kind === 'text') {
      const line = place.drawing.lines[row - place.row];
      const blanks = piece.columns - (line === undefined ? 0 : place.drawing.columns);
      text += (line ?? '') + ' '.repeat(Math.max(0, blanks));
    } else text += place?.drawing ? graphic(piece.columns, place) : ' '.repeat(piece.columns);
    column += piece.columns;
  }
  return text;
}

function isSame(a: Place | undefined, b: Place): boolean {
  return (
    a?.drawing === b.drawing &&
    a?.row === b.row &&
    a.column === b.column &&
    a.rows === b.rows &&
    a.columns === b.columns
  );
}

/**
 * Makes what puts Ink's frames on a terminal. Only rows that changed are written, in place and in one go, so that
 * nothing flickers and little crosses a slow line; the cells of a picture are left alone as long as it stays where it
 * is, for text would take it away.
 */
export function createScreen({
  write,
  columns: wide,
  find,
}: {
  /** Gives text to the terminal. */
  readonly write: (text: string) => void;
  /** Of the terminal now. */
  readonly columns: () => number;
  /** What a mark stands for. */
  readonly find: (mark: string) => Marked | undefined;
}): Screen {
  let rows: readonly (readonly Piece[])[] = [];
  /** The rows on the terminal, where nothing but pictures that stay is passed over. */
  let shown: readonly string[] = [];
  let graphics = new Map<string, Place>();
  const sent = new Set<string>();

  function paint(): void {
    const places = placesOf(rows, find);
    const now = new Map([...places].filter(([, { drawing }]) => drawing?.kind === 'graphic'));
    const fresh = new Set<Place>();
    const dirty = new Set<number>();
    let [before, after] = ['', ''];
    const touch = (place: Place): void => {
      for (let row = place.row; row < place.row + place.rows; row++) dirty.add(row);
    };
    for (const [key, place] of graphics) {
      const successor = now.get(key);
      if (successor && isSame(place, successor)) continue;
      touch(place);
      if (place.drawing?.kind === 'graphic') before += place.drawing.hide;
    }
    for (const [key, place] of now) {
      if (place.drawing?.kind !== 'graphic' || isSame(graphics.get(key), place)) continue;
      fresh.add(place);
      touch(place);
      if (!sent.has(place.mark)) after += place.drawing.data;
      if (place.drawing.data !== '') sent.add(place.mark);
      after += ansiEscapes.cursorTo(place.column, place.row) + place.drawing.show;
    }
    const passing = (columns: number): string => ansiEscapes.cursorForward(columns);
    const texts = rows.map((pieces, row) => rowText(pieces, row, places, passing));
    for (let row = 0; row < Math.max(texts.length, shown.length); row++) {
      if (texts[row] === shown[row] && !dirty.has(row)) continue;
      const pieces = rows[row] ?? [];
      const text = dirty.has(row)
        ? rowText(pieces, row, places, (columns, place) => (fresh.has(place) ? ' '.repeat(columns) : passing(columns)))
        : (texts[row] ?? '');
      const width = pieces.reduce((sum, { columns }) => sum + columns, 0);
      // What is left of an older row goes; in the last column that would take the character that was just written.
      const rest = width < wide() ? ansiEscapes.eraseEndLine : '';
      before += `${ansiEscapes.cursorTo(0, row)}${text}\u001b[0m${rest}`;
    }
    graphics = now;
    shown = texts;
    if (before + after !== '') write(ansiEscapes.synchronizedOutput(before + after));
  }

  function hideAll(): string {
    const codes = [...graphics.values()].map(({ drawing }) =>
      drawing?.kind === 'graphic' ? drawing.hide + drawing.free : '',
    );
    graphics = new Map();
    // What a terminal keeps of pictures when it is cleared is its own affair.
    sent.clear();
    return codes.join('');
  }

  return {
    show(frame) {
      rows = frame.split('\n').map((line) => piecesOf(line, find));
      paint();
    },
    again(from) {
      if (from === 'all') {
        write(hideAll() + ansiEscapes.eraseScreen);
        shown = [];
      }
      paint();
    },
    close: () => write(hideAll()),
  };
}
