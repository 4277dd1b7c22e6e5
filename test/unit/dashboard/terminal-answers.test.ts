import { describe, expect, it } from 'vitest';

import { choosePictures, noAnswers, takeAnswers } from '../../../src/dashboard/terminal-answers.ts';

/** What terminals answered to the questions, as they were recorded. */
const recorded = {
  kitty: '\u001b_Gi=1;OK\u001b\\\u001bP>|kitty(0.26.5)\u001b\\\u001b[6;19;8t\u001b[?62;c',
  xterm: '\u001bP>|XTerm(379)\u001b\\\u001b[6;17;8t\u001b[?63;1;2;4;6;9;15;16;22;28c',
  tmux: '\u001bP>|tmux 3.3a\u001b\\\u001b[?1;2c',
};

describe('takeAnswers', () => {
  it('reads what terminals say of themselves', () => {
    expect(takeAnswers(recorded.kitty, noAnswers)).toEqual({
      keys: '',
      rest: '',
      answers: {
        hasKitty: true,
        hasSixel: false,
        name: 'kitty(0.26.5)',
        cell: { width: 8, height: 19 },
        isComplete: true,
      },
    });
    expect(takeAnswers(recorded.xterm, noAnswers).answers).toMatchObject({
      hasKitty: false,
      hasSixel: true,
      cell: { width: 8, height: 17 },
    });
    expect(takeAnswers('\u001b_Gi=1;ENOTSUPPORTED:no\u001b\\', noAnswers).answers.hasKitty).toBe(false);
  });

  it('leaves the keys between them, wherever the pieces are cut', () => {
    const sent = `s${recorded.kitty.slice(0, 30)}`;
    const whole = `q\u001b[A${recorded.xterm}\u001b[Bé`;
    for (let cut = 0; cut <= whole.length; cut++) {
      const first = takeAnswers(whole.slice(0, cut), noAnswers);
      const second = first.answers.isComplete
        ? { keys: whole.slice(cut), answers: first.answers }
        : takeAnswers(first.rest + whole.slice(cut), first.answers);
      expect(first.keys + second.keys).toBe('q\u001b[A\u001b[Bé');
      expect(second.answers).toMatchObject({ hasSixel: true, isComplete: true });
    }
    expect(takeAnswers(sent, noAnswers).keys).toBe('s');
  });
});

describe('choosePictures', () => {
  const of = (name: keyof typeof recorded) => takeAnswers(recorded[name], noAnswers).answers;
  const [none, iterm2] = [{ iterm2: false }, { iterm2: true }];

  it('takes the best that the terminal says it has', () => {
    expect(choosePictures({}, of('kitty'), none)).toBe('kitty');
    expect(choosePictures({}, of('kitty'), iterm2)).toBe('kitty');
    expect(choosePictures({}, of('xterm'), none)).toBe('sixel');
    expect(choosePictures({}, of('xterm'), iterm2)).toBe('iterm2');
    expect(choosePictures({}, { ...noAnswers, name: 'iTerm2 3.4.1' }, none)).toBe('iterm2');
    expect(choosePictures({}, noAnswers, none)).toBe('blocks');
  });

  it('draws no sixels where it does not know how large they would be', () => {
    expect(choosePictures({}, { ...of('xterm'), cell: undefined }, none)).toBe('blocks');
  });

  it('trusts nobody inside tmux and screen', () => {
    expect(choosePictures({}, of('tmux'), iterm2)).toBe('blocks');
    for (const env of [{ TMUX: '/tmp/tmux-0/default,1,0' }, { STY: '1.pts' }, { TERM: 'screen-256color' }]) {
      expect(choosePictures({ KITTY_WINDOW_ID: '1', ...env }, of('kitty'), iterm2)).toBe('blocks');
    }
  });

  it('does as SANA_TRAIN_PICTURES says', () => {
    expect(choosePictures({ SANA_TRAIN_PICTURES: 'blocks' }, of('kitty'), none)).toBe('blocks');
    expect(choosePictures({ SANA_TRAIN_PICTURES: 'sixel', TMUX: 'x' }, of('tmux'), none)).toBe('sixel');
    expect(choosePictures({ SANA_TRAIN_PICTURES: 'jpeg' }, of('kitty'), none)).toBe('kitty');
  });
});
