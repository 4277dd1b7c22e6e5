import { describe, expect, it } from 'vitest';

import {
  editLine,
  emptyLine,
  insertText,
  type PromptLine,
  textOf,
  visibleLine,
} from '../../../src/dashboard/prompt-line.ts';

const typed = (text: string): PromptLine => insertText(emptyLine, text);
/** The line with a bar at its cursor. */
const shown = ({ characters, cursor }: PromptLine): string =>
  [...characters.slice(0, cursor), '|', ...characters.slice(cursor)].join('');
const [left, backspace] = [{ leftArrow: true }, { delete: true }] as const;

describe('insertText', () => {
  it('types at the cursor', () => {
    expect(shown(typed('a dog'))).toBe('a dog|');
    expect(shown(insertText(editLine(typed('a dg'), '', left, []), 'o'))).toBe('a do|g');
  });

  it('makes one line of what is pasted, without anything that a terminal obeys', () => {
    expect(textOf(typed('a\r\ndog\t\u001b[31mred\u001b[0m \u001b]0;title\u0007\u009b2J\u202ex\u{100001}\u0000'))).toBe(
      'a dog red  x',
    );
    expect(typed('x'.repeat(5000)).characters).toHaveLength(1000);
  });

  it('keeps what is seen as one character together', () => {
    const line = typed('👩‍👩‍👧 ne\u0301');
    expect(line.characters).toEqual(['👩‍👩‍👧', ' ', 'n', 'e\u0301']);
    expect(textOf(editLine(line, '', backspace, []))).toBe('👩‍👩‍👧 n');
    // The accent that is typed after its letter.
    expect(shown(insertText(typed('e'), '\u0301'))).toBe('e\u0301|');
  });
});

describe('editLine', () => {
  it.each([
    ['', { leftArrow: true }, 'a big do|g'],
    ['', { rightArrow: true }, 'a big dog|'],
    ['', { home: true }, '|a big dog'],
    ['a', { ctrl: true }, '|a big dog'],
    ['', { backspace: true }, 'a big do|'],
    ['', { delete: true }, 'a big do|'],
    ['w', { ctrl: true }, 'a big |'],
    ['u', { ctrl: true }, '|'],
    ['z', { ctrl: true }, 'a big dog|'],
  ])('%j %j', (input, key, expected) => {
    expect(shown(editLine(typed('a big dog'), input, key, []))).toBe(expected);
  });

  it('deletes from the middle, and nothing before the beginning', () => {
    const middle = editLine(typed('abc'), '', left, []);
    expect(shown(editLine(middle, '', backspace, []))).toBe('a|c');
    expect(shown(editLine(middle, 'k', { ctrl: true }, []))).toBe('ab|');
    const begin = editLine(middle, '', { home: true }, []);
    expect(shown(editLine(begin, '', backspace, []))).toBe('|abc');
    expect(shown(editLine(begin, '', { end: true }, []))).toBe('abc|');
  });

  it('recalls what was typed before', () => {
    const history = ['first', 'second'];
    const up = (line: PromptLine): PromptLine => editLine(line, '', { upArrow: true }, history);
    expect(shown(up(emptyLine))).toBe('second|');
    expect(shown(up(up(up(emptyLine))))).toBe('first|');
    expect(shown(editLine(up(emptyLine), '', { downArrow: true }, history))).toBe('|');
  });
});

describe('visibleLine', () => {
  it('shows what fits around the cursor, wide characters counted as two', () => {
    const line = { ...typed('abcdefgh'), cursor: 4 };
    expect(visibleLine(line, 20)).toEqual({ before: 'abcd', under: 'e', after: 'fgh' });
    expect(visibleLine(line, 4)).toEqual({ before: 'bcd', under: 'e', after: '' });
    expect(visibleLine(typed('犬犬犬'), 5)).toEqual({ before: '犬犬', under: ' ', after: '' });
  });
});
