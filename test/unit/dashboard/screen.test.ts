import { describe, expect, it } from 'vitest';

import type { Drawing } from '../../../src/dashboard/drawing.ts';
import type { Marked } from '../../../src/dashboard/marks.ts';
import { createScreen } from '../../../src/dashboard/screen.ts';

const [textMark, pictureMark, otherMark] = ['\u{100000}', '\u{101000}', '\u{101001}'];
const graphic = (name: string): Drawing => ({
  kind: 'graphic',
  data: `<${name} data>`,
  show: `<${name}>`,
  hide: `<no ${name}>`,
  free: `<forget ${name}>`,
});

/** A row of a box as Ink lays it out: its mark, and blanks. */
const box = (mark: string, columns: number): string => mark + ' '.repeat(columns - 1);

/** A screen ten columns wide, and what was written to it, without the marks of one go. */
function open(marked: Map<string, Marked>, columns = 10) {
  let written = '';
  const screen = createScreen({
    write: (text) => (written += text),
    columns: () => columns,
    find: (mark) => marked.get(mark),
  });
  return {
    screen,
    taken(): string {
      const text = written.replaceAll('\u001b[?2026h', '').replaceAll('\u001b[?2026l', '');
      written = '';
      return text;
    },
  };
}

/** A row's code: where it begins, and what is cleared behind it. */
const row = (n: number, text: string, rest = '\u001b[K'): string => `\u001b[${n};1H${text}\u001b[0m${rest}`;

describe('createScreen', () => {
  it('writes rows that changed, in one go, and nothing where nothing did', () => {
    let written = '';
    const screen = createScreen({ write: (text) => (written += text), columns: () => 10, find: () => undefined });
    screen.show('one\ntwo');
    expect(written).toBe(`\u001b[?2026h${row(1, 'one')}${row(2, 'two')}\u001b[?2026l`);
    written = '';
    screen.show('one\ntwo');
    screen.again();
    expect(written).toBe('');
    screen.show('one\n2');
    expect(written).toBe(`\u001b[?2026h${row(2, '2')}\u001b[?2026l`);
  });

  it('leaves the last column alone, and clears rows that are gone', () => {
    const { screen, taken } = open(new Map());
    screen.show('0123456789\nx');
    expect(taken()).toBe(row(1, '0123456789', '') + row(2, 'x'));
    screen.show('0123456789');
    expect(taken()).toBe(row(2, ''));
  });

  it('puts texts in the place of their marks', () => {
    const marked = new Map<string, Marked>();
    const set = (...lines: readonly string[]): unknown =>
      marked.set(textMark, { drawing: { kind: 'text', lines, columns: 3 }, columns: 3, rows: lines.length });
    const { screen, taken } = open(marked);
    set('abc', 'def');
    const frame = `> ${box(textMark, 3)} <\n> ${box(textMark, 3)} <`;
    screen.show(frame);
    expect(taken()).toBe(row(1, '> abc <') + row(2, '> def <'));
    // Other text, the same frame.
    set('abc', 'xyz');
    screen.again();
    expect(taken()).toBe(row(2, '> xyz <'));
  });

  it('shows a picture when it is there, once, and writes around it', () => {
    const marked = new Map<string, Marked>([[pictureMark, { drawing: undefined, columns: 4, rows: 2 }]]);
    const { screen, taken } = open(marked);
    const dog = box(pictureMark, 4);
    const frame = (left: string): string => `${left} ${dog} |\n-- ${dog} |\nlabel`;
    screen.show(frame('ab'));
    expect(taken()).toBe(row(1, 'ab      |') + row(2, '--      |') + row(3, 'label'));
    marked.set(pictureMark, { drawing: graphic('dog'), columns: 4, rows: 2 });
    screen.again();
    expect(taken()).toBe(`${row(1, 'ab      |')}${row(2, '--      |')}<dog data>\u001b[1;4H<dog>`);
    // The row's text changes: the cells of the picture are passed over.
    screen.show(frame('cd'));
    expect(taken()).toBe(row(1, 'cd \u001b[4C |'));
    screen.show(frame('cd'));
    expect(taken()).toBe('');
  });

  it('takes a picture away with its cells when something else is to be seen, and sends its data once', () => {
    const marked = new Map<string, Marked>([
      [pictureMark, { drawing: graphic('dog'), columns: 4, rows: 1 }],
      [otherMark, { drawing: graphic('cat'), columns: 4, rows: 1 }],
    ]);
    const { screen, taken } = open(marked);
    screen.show(`a ${box(pictureMark, 4)}`);
    taken();
    screen.show(`a ${box(otherMark, 4)}`);
    expect(taken()).toBe(`<no dog>${row(1, 'a     ')}<cat data>\u001b[1;3H<cat>`);
    screen.show('help');
    expect(taken()).toBe(`<no cat>${row(1, 'help')}`);
    screen.show(`a ${box(pictureMark, 4)}`);
    expect(taken()).toBe(`${row(1, 'a     ')}\u001b[1;3H<dog>`);
    // Somewhere else.
    screen.show(`\na ${box(pictureMark, 4)}`);
    expect(taken()).toBe(`<no dog>${row(1, '')}${row(2, 'a     ')}\u001b[2;3H<dog>`);
  });

  it('shows nothing of a picture whose box is cut off', () => {
    const marked = new Map<string, Marked>([[pictureMark, { drawing: graphic('dog'), columns: 4, rows: 2 }]]);
    const { screen, taken } = open(marked);
    screen.show(`a ${box(pictureMark, 4)}`);
    expect(taken()).toBe(row(1, 'a     '));
  });

  it('begins anew where nobody knows what the terminal shows, and leaves nothing behind', () => {
    const marked = new Map<string, Marked>([[pictureMark, { drawing: graphic('dog'), columns: 4, rows: 1 }]]);
    const { screen, taken } = open(marked);
    screen.show(`a ${box(pictureMark, 4)}`);
    taken();
    screen.again('all');
    expect(taken()).toBe(`<no dog><forget dog>\u001b[2J${row(1, 'a     ')}<dog data>\u001b[1;3H<dog>`);
    screen.close();
    expect(taken()).toBe('<no dog><forget dog>');
  });
});
