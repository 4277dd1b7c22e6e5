import { type Key, useInput } from 'ink';
import { useReducer, useRef } from 'react';

import { editLine, emptyLine, insertText, type PromptLine, textOf } from './prompt-line.ts';
import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import type { Selection } from './samples.tsx';

/** What keys act on. */
interface Surroundings {
  readonly view: RunView;
  readonly controls: RunControls;
  readonly onReadWarnings: () => void;
  /** Draws the whole screen anew: another program wrote across it. */
  readonly onRedraw: () => void;
}

/** What keys have changed. */
interface State {
  readonly selection: Selection;
  readonly screen: 'main' | 'log' | 'help';
  readonly asked: 'no' | 'asking' | 'stopping';
  readonly isPaused: boolean;
  /** The prompt that is being typed. */
  readonly line: PromptLine | undefined;
  /** Prompts that were typed, newest last. */
  readonly history: readonly string[];
  /** The prompt that was typed last, at which step: its picture is looked at once it is there. */
  readonly awaited: { readonly text: string; readonly step: number } | undefined;
  /** Between a terminal's marks around pasted text: that is no command. */
  readonly isPasting: boolean;
  /** An answer, shown until the next step. */
  readonly told: { readonly text: string; readonly step: number } | undefined;
}

const initial: State = {
  selection: { prompt: 0, picture: undefined },
  screen: 'main',
  asked: 'no',
  isPaused: false,
  line: undefined,
  history: [],
  awaited: undefined,
  isPasting: false,
  told: undefined,
};

/** What a terminal sends before and after pasted text (bracketed paste), as Ink gives it on. */
const [pasteBegin, pasteEnd] = ['[200~', '[201~'];

/** The state after a key while a prompt is typed. */
function afterTyping(
  state: State,
  line: PromptLine,
  input: string,
  key: Partial<Key>,
  { view, controls }: Surroundings,
): State {
  // A run that ends meanwhile makes no more pictures.
  if (view.end || key.escape === true || (key.ctrl === true && input === 'c')) return { ...state, line: undefined };
  if (state.isPasting) return { ...state, line: insertText(line, input) };
  if (key.return !== true && input !== '\n') {
    const isNamed = input === '' || key.ctrl === true || key.meta === true;
    return { ...state, line: isNamed ? editLine(line, input, key, state.history) : insertText(line, input) };
  }
  const text = textOf(line);
  if (text === '') return { ...state, line: undefined };
  controls.prompt(text);
  const told = { text: `sampling after this step: ${JSON.stringify(text)}`, step: view.step };
  const history = [...state.history.filter((old) => old !== text), text];
  return { ...state, line: undefined, history, told, awaited: { text, step: view.step } };
}

/** The state once the picture of the prompt that was typed is there. */
function afterSample(state: State, { prompts }: RunView): State {
  const { awaited } = state;
  const prompt = prompts.findIndex(
    ({ prompt, pictures }) => prompt === awaited?.text && (pictures.at(-1)?.step ?? -1) >= awaited.step,
  );
  return prompt < 0 ? state : { ...state, awaited: undefined, selection: { prompt, picture: undefined } };
}

/** The state after a key. Tells the run what a person wants. */
function afterKey(
  state: State,
  input: string,
  key: Partial<Key>,
  { view, controls, onReadWarnings, onRedraw }: Surroundings,
): State {
  const { selection, screen, asked, isPaused } = state;
  const isInterrupt = key.ctrl === true && input === 'c';
  if (asked === 'asking') {
    if (input === 'y' || isInterrupt) {
      controls.stop();
      return { ...state, asked: 'stopping' };
    }
    return input === 'n' || input === 'q' || key.escape === true ? { ...state, asked: 'no' } : state;
  }
  if ((input === 'q' && key.ctrl !== true) || isInterrupt) {
    // Nothing to ask for where the run is over or another process's; a second Ctrl-C does not wait for the step.
    if (view.end || !controls.isOwn || (asked === 'stopping' && isInterrupt)) controls.leave();
    else if (asked === 'no') return { ...state, asked: 'asking' };
    return state;
  }
  if (key.upArrow === true || key.downArrow === true) {
    const prompts = Math.max(1, view.prompts.length);
    const prompt = (selection.prompt + (key.upArrow === true ? prompts - 1 : 1)) % prompts;
    return { ...state, selection: { ...selection, prompt } };
  }
  if (key.leftArrow === true || key.rightArrow === true) {
    const newest = (view.prompts[selection.prompt]?.pictures.length ?? 1) - 1;
    const picture = Math.max(0, Math.min(newest, selection.picture ?? newest) + (key.leftArrow === true ? -1 : 1));
    return { ...state, selection: { ...selection, picture: picture >= newest ? undefined : picture } };
  }
  if (key.ctrl === true) {
    if (input === 'l') onRedraw();
    return state;
  }
  if (input === 'l') return { ...state, screen: screen === 'log' ? 'main' : 'log' };
  if (input === '?') return { ...state, screen: screen === 'help' ? 'main' : 'help' };
  if (key.escape === true) return { ...state, screen: 'main' };
  if (input === 'w') onReadWarnings();
  if (view.end || asked === 'stopping') return state;
  const told = (text: string): State => ({ ...state, told: { text, step: view.step } });
  switch (input) {
    case 'x':
      return { ...state, asked: 'asking' };
    case 't':
      return { ...state, line: emptyLine };
    case 's':
      controls.sample();
      return told('sampling after this step');
    case 'c':
      controls.checkpoint();
      return told('saving after this step');
    case 'p':
      controls.pause(!isPaused);
      return { ...state, isPaused: !isPaused };
    default:
      return state;
  }
}

/** A line in place of the footer: a question, or what was asked for. */
function noticeOf({ asked, isPaused, told }: State, view: RunView): string | undefined {
  if (view.end) return undefined;
  if (asked === 'asking') return 'Stop after this step, saved? The same command goes on later. y stops, n goes on.';
  if (asked === 'stopping') return 'stopping: this step is finished and saved; Ctrl-C stops at once';
  if (isPaused) return 'paused; p goes on';
  return told?.step === view.step ? told.text : undefined;
}

/** Answers keys: looks at other pictures and screens, and tells the run what a person wants. */
export function useKeys(
  surroundings: Surroundings,
): Pick<State, 'selection' | 'screen' | 'line'> & { readonly notice: string | undefined } {
  // Changed in place and not through React's state, which is a frame behind: keys may come faster than frames.
  const live = useRef({ state: initial, surroundings });
  live.current.surroundings = surroundings;
  live.current.state = afterSample(live.current.state, surroundings.view);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useInput((input, key) => {
    live.current.state = afterInput(live.current.state, input, key, live.current.surroundings);
    redraw();
  });
  const { selection, screen, line } = live.current.state;
  return { selection, screen, line, notice: noticeOf(live.current.state, surroundings.view) };
}

/** Controls between letters that came at once, a held Backspace among them, as Ink gives them on when they come alone. */
function keysOf(input: string, key: Partial<Key>): readonly (readonly [input: string, key: Partial<Key>])[] {
  // oxlint-disable-next-line no-control-regex
  const parts = input.match(/[\u0000-\u001f\u007f]|[^\u0000-\u001f\u007f]+/g) ?? [];
  if (parts.length < 2) return [[input, key]];
  return parts.map((part) => {
    if (part === '\r' || part === '\n') return ['', { return: true }];
    if (part === '\u007f' || part === '\b') return ['', { delete: true }];
    return part < ' ' ? [String.fromCodePoint((part.codePointAt(0) ?? 0) + 0x60), { ctrl: true }] : [part, {}];
  });
}

/** The state after what Ink gives on at once: a key, or letters that were typed together. */
function afterInput(state: State, input: string, key: Partial<Key>, surroundings: Surroundings): State {
  if (input === pasteBegin || input === pasteEnd) return { ...state, isPasting: input === pasteBegin };
  if (state.isPasting) return state.line ? afterTyping(state, state.line, input, key, surroundings) : state;
  let next = state;
  for (const [text, named] of keysOf(input, key)) {
    let rest = text;
    do {
      if (next.line) {
        next = afterTyping(next, next.line, rest, named, surroundings);
        break;
      }
      // Alt with a letter is another key than the letter.
      if (named.meta === true && named.escape !== true) break;
      // Letters that were typed at once come together; named keys come alone and without one.
      const [letter = ''] = rest;
      next = afterKey(next, letter, named, surroundings);
      rest = rest.slice(letter.length);
    } while (rest !== '');
  }
  return next;
}
