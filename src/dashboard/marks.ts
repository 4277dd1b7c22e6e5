import { type Drawing, loadDrawing, type PictureTerminal } from './drawing.ts';

/**
 * The first of the characters that stand for texts and pictures in Ink's frames: plane 16, for private use, whose
 * characters are one column wide and which no text on the dashboard may hold (see plainText).
 */
const firstMark = 0x10_00_00;
/** Marks of texts come first, those of pictures after them. */
const textMarks = 0x10_00;
const pictureMarks = 0xff_fd - textMarks;

/** Pictures that are kept ready: the strip and the large one, of some steps back and forth. */
const keptPictures = 64;

/** What is shown in a box of marks. */
export interface Marked {
  /** Undefined for a picture that is not read yet. */
  readonly drawing: Drawing | undefined;
  readonly columns: number;
  readonly rows: number;
}

/**
 * What a dashboard shows, each text and picture known by the character that stands for it in Ink's frames. Ink lays out
 * boxes of marks: it measures every text anew that it has not seen, and forgets none, which in a day-long run would be
 * millions.
 */
export interface Marks {
  /** The character for a box of lines; under one key there is one at a time. Lines are as wide as the box. */
  text(key: string, lines: readonly string[], columns: number): string;
  /** The character for a picture's box. */
  picture(path: string, columns: number, rows: number): string;
  find(mark: string): Marked | undefined;
}

/**
 * Makes a dashboard's store of texts and pictures.
 * @param onLoad called when a picture is ready
 * @param onForget called with what takes a picture out of the terminal's memory
 */
export function createMarks(terminal: PictureTerminal, onLoad: () => void, onForget: (free: string) => void): Marks {
  const texts = new Map<string, string>();
  const pictures = new Map<string, string>();
  const marked = new Map<string, Marked>();
  let count = 0;
  return {
    text(key, lines, columns) {
      const mark = texts.get(key) ?? String.fromCodePoint(firstMark + (texts.size % textMarks));
      texts.set(key, mark);
      const before = marked.get(mark)?.drawing;
      const isSame =
        before?.kind === 'text' &&
        before.columns === columns &&
        before.lines.length === lines.length &&
        before.lines.every((line, i) => line === lines[i]);
      if (!isSame) marked.set(mark, { drawing: { kind: 'text', lines, columns }, columns, rows: lines.length });
      return mark;
    },
    picture(path, columns, rows) {
      const key = `${columns} ${rows} ${path}`;
      const known = pictures.get(key);
      if (known !== undefined) {
        // Last in the map is what was asked for last.
        pictures.delete(key);
        pictures.set(key, known);
        return known;
      }
      const id = count++ % pictureMarks;
      const mark = String.fromCodePoint(firstMark + textMarks + id);
      pictures.set(key, mark);
      marked.set(mark, { drawing: undefined, columns, rows });
      void loadDrawing(path, columns, rows, terminal, id + 1).then((loaded) => {
        if (pictures.get(key) !== mark) return undefined;
        const drawing = loaded ?? {
          kind: 'text' as const,
          lines: ['(no picture)'.slice(0, columns).padEnd(columns)],
          columns,
        };
        marked.set(mark, { drawing, columns, rows });
        onLoad();
        return undefined;
      });
      for (const [oldest, mark] of pictures) {
        if (pictures.size <= keptPictures) break;
        const drawing = marked.get(mark)?.drawing;
        if (drawing?.kind === 'graphic' && drawing.free !== '') onForget(drawing.free);
        pictures.delete(oldest);
        marked.delete(mark);
      }
      return mark;
    },
    find: (mark) => marked.get(mark),
  };
}
