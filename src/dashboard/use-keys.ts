import { type Key, useInput } from 'ink';
import { useReducer, useRef } from 'react';

import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import type { Selection } from './samples.tsx';

/** What keys act on. */
interface Surroundings {
  readonly view: RunView;
  readonly controls: RunControls;
  readonly onReadWarnings: () => void;
}

/** What keys have changed. */
interface State {
  readonly selection: Selection;
  readonly screen: 'main' | 'log' | 'help';
  readonly asked: 'no' | 'asking' | 'stopping';
  readonly isPaused: boolean;
  /** An answer, shown until the next step. */
  readonly told: { readonly text: string; readonly step: number } | undefined;
}

const initial: State = {
  selection: { prompt: 0, picture: undefined },
  screen: 'main',
  asked: 'no',
  isPaused: false,
  told: undefined,
};

/** The state after a key. Tells the run what a person wants. */
function afterKey(
  state: State,
  input: string,
  key: Partial<Key>,
  { view, controls, onReadWarnings }: Surroundings,
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
  if (input === 'q' || isInterrupt) {
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
  if (input === 'l') return { ...state, screen: screen === 'log' ? 'main' : 'log' };
  if (input === '?') return { ...state, screen: screen === 'help' ? 'main' : 'help' };
  if (key.escape === true) return { ...state, screen: 'main' };
  if (input === 'w') onReadWarnings();
  if (view.end || asked === 'stopping') return state;
  const told = (text: string): State => ({ ...state, told: { text, step: view.step } });
  switch (input) {
    case 'x':
      return { ...state, asked: 'asking' };
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
): Pick<State, 'selection' | 'screen'> & { readonly notice: string | undefined } {
  // Changed in place and not through React's state, which is a frame behind: keys may come faster than frames.
  const live = useRef({ state: initial, surroundings });
  live.current.surroundings = surroundings;
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useInput((input, key) => {
    // Letters that were typed at once come together; named keys come alone and without one.
    for (const letter of input === '' ? [''] : input) {
      live.current.state = afterKey(live.current.state, letter, key, live.current.surroundings);
    }
    redraw();
  });
  const { selection, screen } = live.current.state;
  return { selection, screen, notice: noticeOf(live.current.state, surroundings.view) };
}
