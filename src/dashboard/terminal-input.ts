import { PassThrough } from 'node:stream';

import { noAnswers, questions, takeAnswers, type TerminalAnswers } from './terminal-answers.ts';

/** What is read of a terminal: the part of Node's stdin that is used. */
export type TerminalSource = Pick<
  NodeJS.ReadStream,
  'isTTY' | 'setRawMode' | 'setEncoding' | 'on' | 'off' | 'ref' | 'unref' | 'pause'
>;

/** A terminal's keys, without its answers to {@link questions}. */
export interface TerminalInput {
  /** What Ink reads in stdin's place. */
  readonly keys: NodeJS.ReadStream;
  /** Asks the terminal; resolves when it has answered, or with what it said within `patience` milliseconds. */
  ask(write: (text: string) => void, patience: number): Promise<TerminalAnswers>;
  close(): void;
}

/**
 * Reads a terminal. Its answers come between keys, and over a slow line long after they were asked for: they are taken
 * out whenever they come, or they would be taken for keys.
 */
export function createTerminalInput(stdin: TerminalSource): TerminalInput {
  const through = new PassThrough();
  let answers = noAnswers;
  let isAsked = false;
  let rest = '';
  let isLate = false;
  let settle: (() => void) | undefined;
  // The Escape key looks like the beginning of an answer: it waits for no more than the answers do.
  const releaseEscape = (): void => {
    if (!isLate || rest !== '\u001b') return;
    rest = '';
    through.write('\u001b');
  };
  const onData = (chunk: string): void => {
    if (!isAsked || answers.isComplete) {
      through.write(chunk);
      return;
    }
    const taken = takeAnswers(rest + chunk, answers);
    ({ answers, rest } = taken);
    if (taken.keys !== '') through.write(taken.keys);
    releaseEscape();
    if (answers.isComplete) settle?.();
  };
  stdin.setEncoding('utf8');
  stdin.on('data', onData);
  const keys = Object.assign(through, {
    isTTY: stdin.isTTY,
    setRawMode(on: boolean) {
      stdin.setRawMode(on);
      return keys;
    },
    ref() {
      stdin.ref();
      return keys;
    },
    unref() {
      stdin.unref();
      return keys;
    },
  });
  return {
    // Ink uses what is there, and no more of a terminal's stream.
    keys: keys as unknown as NodeJS.ReadStream,
    async ask(write, patience) {
      isAsked = true;
      stdin.setRawMode(true);
      const answered = new Promise<void>((resolve) => {
        settle = resolve;
      });
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, patience);
      });
      write(questions);
      await Promise.race([answered, late]);
      clearTimeout(timer);
      isLate = true;
      releaseEscape();
      return answers;
    },
    close() {
      stdin.off('data', onData);
      stdin.pause();
    },
  };
}
