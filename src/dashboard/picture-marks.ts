import { type Drawing, loadDrawing, type PictureTerminal } from './drawing.ts';

/**
 * The first of the characters that stand for pictures in a frame: plane 16, for private use, whose characters are one
 * column wide and which no text on the dashboard may hold (see plainText).
 */
const firstMark = 0x10_00_00;
const marks = 0xff_fd;

/** Matches a run of one mark. */
export const markRun = /([\u{100000}-\u{10fffd}])\1*/gu;

/** Pictures that are kept ready: the strip and the large one, of some steps back and forth. */
const keptPictures = 64;

/** A picture in a box of characters. */
export interface MarkedPicture {
  /** Undefined until it is read; `failed` where it cannot be. */
  readonly drawing: Drawing | 'failed' | undefined;
  readonly columns: number;
  readonly rows: number;
}

/** The pictures of a dashboard, each known by the character that stands for it in Ink's frames. */
export interface PictureMarks {
  /** The character that is to fill the picture's box of so many columns and rows. */
  mark(path: string, columns: number, rows: number): string;
  find(mark: string): MarkedPicture | undefined;
}

/**
 * Makes a dashboard's store of pictures. Ink lays out boxes of marks, which cost it nothing; the screen puts the
 * pictures in their places.
 * @param onLoad called when a picture is ready
 * @param onForget called with what takes a picture out of the terminal's memory
 */
export function createPictureMarks(
  terminal: PictureTerminal,
  onLoad: () => void,
  onForget: (free: string) => void,
): PictureMarks {
  const byKey = new Map<string, string>();
  const byMark = new Map<string, MarkedPicture>();
  let count = 0;
  return {
    mark(path, columns, rows) {
      const key = `${columns} ${rows} ${path}`;
      const known = byKey.get(key);
      // Last in the map is what was asked for last.
      byKey.delete(key);
      if (known !== undefined) {
        byKey.set(key, known);
        return known;
      }
      const id = count++ % marks;
      const mark = String.fromCodePoint(firstMark + id);
      byKey.set(key, mark);
      byMark.set(mark, { drawing: undefined, columns, rows });
      void loadDrawing(path, columns, rows, terminal, id + 1).then((drawing) => {
        if (byKey.get(key) !== mark) return undefined;
        byMark.set(mark, { drawing: drawing ?? 'failed', columns, rows });
        onLoad();
        return undefined;
      });
      for (const [oldest, mark] of byKey) {
        if (byKey.size <= keptPictures) break;
        const drawing = byMark.get(mark)?.drawing;
        if (drawing !== 'failed' && drawing?.kind === 'graphic' && drawing.free !== '') onForget(drawing.free);
        byKey.delete(oldest);
        byMark.delete(mark);
      }
      return mark;
    },
    find: (mark) => byMark.get(mark),
  };
}
