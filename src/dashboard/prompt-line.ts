import type { Key } from 'ink';
import stringWidth from 'string-width';

import { plainText } from '../log/plain-text.ts';

/** Longer prompts are cut: Sana reads 300 tokens. */
const mostCharacters = 1000;

/** A line that is being typed. */
export interface PromptLine {
  /** What a person sees as characters (graphemes), each on its own. */
  readonly characters: readonly string[];
  /** Before which of them the next goes. */
  readonly cursor: number;
  /** How far back in the prompts that were typed before; 0 is the new one. */
  readonly back: number;
}

/** Before anything was typed. */
export const emptyLine: PromptLine = { characters: [], cursor: 0, back: 0 };

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

function charactersOf(text: string): readonly string[] {
  return [...graphemes.segment(plainText(text))].map(({ segment }) => segment);
}

/** The text of a line, without blanks around it. */
export function textOf({ characters }: PromptLine): string {
  return characters.join('').trim();
}

/** The line with a text at the cursor; line breaks and tabs in it become blanks, other controls are left out. */
export function insertText({ characters, cursor, back }: PromptLine, text: string): PromptLine {
  const left = mostCharacters - characters.length;
  const added = charactersOf(text).slice(0, Math.max(0, left));
  const joined = [...characters.slice(0, cursor), ...added, ...characters.slice(cursor)].join('');
  // A character may join with its neighbours (an accent, a family).
  const before = charactersOf([...characters.slice(0, cursor), ...added].join('')).length;
  return { characters: charactersOf(joined), cursor: before, back };
}

/**
 * The line after a key that is no text: arrows, Home and End (or Ctrl-A, Ctrl-E), Backspace, Delete, and the shells' own
 * Ctrl-U, Ctrl-K and Ctrl-W; up and down go through what was typed before.
 * @param history newest last
 */
export function editLine(line: PromptLine, input: string, key: Partial<Key>, history: readonly string[]): PromptLine {
  const { characters, cursor, back } = line;
  const at = (position: number): PromptLine => ({
    ...line,
    cursor: Math.max(0, Math.min(characters.length, position)),
  });
  const without = (from: number, to: number): PromptLine => ({
    characters: [...characters.slice(0, from), ...characters.slice(to)],
    cursor: from,
    back,
  });
  if (key.leftArrow === true) return at(cursor - 1);
  if (key.rightArrow === true) return at(cursor + 1);
  if (key.home === true) return at(0);
  if (key.end === true) return at(characters.length);
  // Ink calls what the Backspace key of most terminals sends (DEL) `delete`, as it does the Delete key's own code.
  if (key.backspace === true || key.delete === true) return cursor === 0 ? line : without(cursor - 1, cursor);
  if (key.upArrow === true || key.downArrow === true) {
    const to = Math.max(0, Math.min(history.length, back + (key.upArrow === true ? 1 : -1)));
    const recalled = charactersOf(to === 0 ? '' : (history.at(-to) ?? ''));
    return to === back ? line : { characters: recalled, cursor: recalled.length, back: to };
  }
  if (key.ctrl !== true) return line;
  switch (input) {
    case 'a':
      return at(0);
    case 'e':
      return at(characters.length);
    case 'u':
      return without(0, cursor);
    case 'k':
      return without(cursor, characters.length);
    case 'w': {
      const word = /\S+\s*$/.exec(characters.slice(0, cursor).join(''))?.[0] ?? '';
      return without(cursor - charactersOf(word).length, cursor);
    }
    default:
      return line;
  }
}

/** The part of a line that fits `columns`, with the cursor in it: before it, under it, and after it. */
export function visibleLine(
  { characters, cursor }: PromptLine,
  columns: number,
): { readonly before: string; readonly under: string; readonly after: string } {
  const under = characters[cursor] ?? ' ';
  let room = columns - stringWidth(under);
  let [from, to] = [cursor, cursor + 1];
  const takes = (character: string | undefined): boolean => {
    if (character === undefined || stringWidth(character) > room) return false;
    room -= stringWidth(character);
    return true;
  };
  while (takes(characters[from - 1])) from--;
  while (takes(characters[to])) to++;
  return { before: characters.slice(from, cursor).join(''), under, after: characters.slice(cursor + 1, to).join('') };
}
