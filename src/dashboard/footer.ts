import type { ColorDepth } from './picture-rows.ts';
import { type PromptLine, visibleLine } from './prompt-line.ts';
import { type Piece, styledLine, widthOf, withEnd } from './styled-line.ts';

/** A key and what it does, in a word. */
interface Hint {
  readonly key: string;
  readonly word: string;
  /** Those with less go first where there is no room. */
  readonly worth: number;
}

/** The keys that may be pressed now. */
function hintsOf(isOver: boolean, isOwn: boolean): readonly Hint[] {
  const all: readonly (Hint & { readonly acts?: true; readonly only?: 'own' | 'other' })[] = [
    { key: 's', word: 'sample', worth: 5, acts: true },
    { key: 'c', word: 'checkpoint', worth: 4, acts: true },
    { key: 'p', word: 'pause', worth: 6, acts: true },
    { key: 't', word: 'prompt', worth: 7, acts: true },
    { key: 'arrows', word: 'pictures', worth: 3 },
    { key: 'l', word: 'log', worth: 2 },
    { key: '?', word: 'help', worth: 9 },
    { key: 'x', word: 'stop', worth: 1, acts: true, only: 'other' },
    { key: 'q', word: isOwn && !isOver ? 'stop' : 'leave', worth: 8 },
  ];
  return all.filter(({ acts, only }) => !(acts && isOver) && only !== (isOwn ? 'other' : 'own'));
}

const between = '  ';

/** The hints that fit a width, in their order. */
function fitting(hints: readonly Hint[], width: number): readonly Hint[] {
  const needed = hints.reduce((sum, { key, word }) => sum + widthOf(`${key} ${word}${between}`), -between.length);
  if (needed <= width || hints.length <= 1) return hints;
  const least = hints.reduce((a, b) => (b.worth < a.worth ? b : a));
  return fitting(
    hints.filter((hint) => hint !== least),
    width,
  );
}

/** The last line: the prompt that is typed, a question or an answer, or else the keys. */
export function footer({
  line,
  notice,
  isOver,
  isOwn,
  width,
  colors,
}: {
  readonly line: PromptLine | undefined;
  readonly notice: string | undefined;
  readonly isOver: boolean;
  readonly isOwn: boolean;
  readonly width: number;
  readonly colors: ColorDepth;
}): string {
  if (line) {
    const [label, end] = ['prompt ', width >= 60 ? 'Enter samples, Esc leaves it' : ''];
    const room = width - label.length - (end === '' ? 0 : end.length + 1);
    const { before, under, after } = visibleLine(line, room);
    return withEnd([['title', label], before, ['cursor', under], after], [['quiet', end]], width, colors);
  }
  if (notice !== undefined) return styledLine([['warning', notice]], width, colors);
  const pieces = fitting(hintsOf(isOver, isOwn), width).flatMap(({ key, word }, i): readonly Piece[] => [
    i > 0 ? between : '',
    ['key', key],
    ['quiet', ` ${word}`],
  ]);
  return styledLine(pieces, width, colors);
}
