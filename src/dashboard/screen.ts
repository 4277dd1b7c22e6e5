import ansiEscapes from 'ansi-escapes';
import stringWidth from 'string-width';

import type { Drawing } from './drawing.ts';
import { type MarkedPicture, markRun } from './picture-marks.ts';

/** Where a frame wants a picture: the box of its marks. */
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
  /** Shows a frame of Ink's, whose pictures are boxes of marks. */
  show(frame: string): void;
  /** Shows the last frame again, for a picture that came, or whole, where nobody knows what the terminal shows. */
  again(from: 'pictures' | 'nothing'): void;
  /** Takes all pictures off the terminal. */
  close(): void;
}

/** A row's pieces: text, and the boxes of pictures. */
function piecesOf(line: string): readonly { readonly text: string; readonly mark?: string }[] {
  const pieces: { text: string; mark?: string }[] = [];
  let end = 0;
  for (const match of line.matchAll(markRun)) {
    if (match.index > end) pieces.push({ text: line.slice(end, match.index) });
    pieces.push({ text: match[0], mark: match[1] ?? '' });
    end = match.index + match[0].length;
  }
  if (end < line.length) pieces.push({ text: line.slice(end) });
  return pieces;
}

/** The boxes of marks in a frame. */
function placesOf(lines: readonly string[], find: (mark: string) => MarkedPicture | undefined): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [row, line] of lines.entries()) {
    let column = 0;
    for (const { text, mark } of piecesOf(line)) {
      const columns = mark === undefined ? stringWidth(text) : text.length / mark.length;
      if (mark !== undefined) {
        const place = places.get(`${mark} ${column}`);
        if (place && place.row + place.rows === row) place.rows++;
        else places.set(`${mark} ${column}`, { mark, row, column, columns, rows: 1, drawing: undefined });
      }
      column += columns;
    }
  }
  for (const place of places.values()) {
    const picture = find(place.mark);
    if (picture?.drawing === 'failed') place.drawing = { kind: 'text', lines: ['(no picture)'] };
    else if (picture?.columns === place.columns && picture.rows === place.rows) place.drawing = picture.drawing;
  }
  return places;
}

function isSame(a: Place | undefined, b: Place): boolean {
  return (
    a !== undefined &&
    a.drawing === b.drawing &&
    a.row === b.row &&
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
  readonly write: (text: string) => void;
  /** Of the terminal now. */
  readonly columns: () => number;
  readonly find: (mark: string) => MarkedPicture | undefined;
}): Screen {
  let lines: readonly string[] = [];
  let shown: readonly string[] = [];
  let places = new Map<string, Place>();
  const sent = new Set<string>();

  /** The text of a row; cells of pictures that stay are passed over, others' are blank until their picture comes. */
  function rowText(row: number, kept: ReadonlySet<Place>, now: ReadonlyMap<string, Place>): string {
    let [text, column] = ['', 0];
    for (const piece of piecesOf(lines[row] ?? '')) {
      if (piece.mark === undefined) {
        text += piece.text;
        column += stringWidth(piece.text);
        continue;
      }
      const place = now.get(`${piece.mark} ${column}`);
      const columns = piece.text.length / piece.mark.length;
      if (place?.drawing?.kind === 'text') {
        const line = place.drawing.lines[row - place.row] ?? '';
        text += line + ' '.repeat(Math.max(0, columns - stringWidth(line)));
      } else if (place && kept.has(place)) text += ansiEscapes.cursorForward(columns);
      else text += ' '.repeat(columns);
      column += columns;
    }
    // What is left of an older row goes; in the last column that would take the character that was just written.
    return `${text}\u001b[0m${column < wide() ? ansiEscapes.eraseEndLine : ''}`;
  }

  function paint(): void {
    const now = placesOf(lines, find);
    const kept = new Set([...now].filter(([key, place]) => isSame(places.get(key), place)).map(([, place]) => place));
    const dirty = new Set<number>();
    let [before, after] = ['', ''];
    const touch = ({ row, rows }: Place): void => {
      for (let i = row; i < row + rows; i++) dirty.add(i);
    };
    for (const [key, place] of places) {
      const successor = now.get(key);
      if (successor && kept.has(successor)) continue;
      touch(place);
      if (place.drawing?.kind === 'graphic') before += place.drawing.hide;
    }
    for (const place of now.values()) {
      if (kept.has(place)) continue;
      touch(place);
      if (place.drawing?.kind !== 'graphic') continue;
      if (!sent.has(place.mark)) after += place.drawing.data;
      if (place.drawing.data !== '') sent.add(place.mark);
      after += ansiEscapes.cursorTo(place.column, place.row) + place.drawing.show;
    }
    for (let row = 0; row < Math.max(lines.length, shown.length); row++) {
      if (lines[row] !== shown[row] || dirty.has(row)) {
        before += ansiEscapes.cursorTo(0, row) + rowText(row, kept, now);
      }
    }
    places = now;
    shown = lines;
    if (before + after !== '') write(ansiEscapes.synchronizedOutput(before + after));
  }

  function hideAll(): string {
    return [...places.values()]
      .map(({ drawing }) => (drawing?.kind === 'graphic' ? drawing.hide + drawing.free : ''))
      .join('');
  }

  return {
    show(frame) {
      lines = frame.split('\n');
      paint();
    },
    again(from) {
      if (from === 'nothing') {
        write(hideAll() + ansiEscapes.eraseScreen);
        places = new Map();
        shown = [];
        // What a terminal keeps of pictures when it is cleared is its own affair.
        sent.clear();
      }
      paint();
    },
    close() {
      write(hideAll());
      places = new Map();
    },
  };
}
