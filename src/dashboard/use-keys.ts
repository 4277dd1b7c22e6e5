import { useInput } from 'ink';
import { useState } from 'react';

import type { RunControls } from './run-controls.ts';
import type { RunView } from './run-view.ts';
import type { Selection } from './samples.tsx';

/** What keys have changed. */
export interface KeyState {
  readonly selection: Selection;
  readonly screen: 'main' | 'log' | 'help';
  /** A line in place of the footer: a question, or what was asked for. */
  readonly notice: string | undefined;
}

/** Answers keys: looks at other pictures and screens, and tells the run what a person wants. */
export function useKeys({
  view,
  controls,
  onReadWarnings,
}: {
  readonly view: RunView;
  readonly controls: RunControls;
  readonly onReadWarnings: () => void;
}): KeyState {
  const [selection, setSelection] = useState<Selection>({ prompt: 0, picture: undefined });
  const [screen, setScreen] = useState<KeyState['screen']>('main');
  const [asked, setAsked] = useState<'no' | 'asking' | 'stopping'>('no');
  const [isPaused, setIsPaused] = useState(false);
  const [told, setTold] = useState<{ readonly text: string; readonly step: number }>();

  const tell = (text: string): void => setTold({ text, step: view.step });
  const count = view.prompts[selection.prompt]?.pictures.length ?? 0;

  useInput((input, key) => {
    const isInterrupt = key.ctrl && input === 'c';
    if (asked === 'asking') {
      if (input === 'y' || isInterrupt) {
        setAsked('stopping');
        controls.stop();
      } else if (input === 'n' || key.escape || input === 'q') setAsked('no');
      return;
    }
    if (input === 'q' || isInterrupt) {
      // Nothing to ask for where the run is over or another process's; a second Ctrl-C does not wait for the step.
      if (view.end || !controls.isOwn || (asked === 'stopping' && isInterrupt)) controls.leave();
      else if (asked === 'no') setAsked('asking');
      return;
    }
    if (key.upArrow || key.downArrow) {
      const prompts = Math.max(1, view.prompts.length);
      setSelection({
        prompt: (selection.prompt + (key.upArrow ? prompts - 1 : 1)) % prompts,
        picture: selection.picture,
      });
    } else if (key.leftArrow || key.rightArrow) {
      const at = Math.max(0, (selection.picture ?? count - 1) + (key.leftArrow ? -1 : 1));
      setSelection({ ...selection, picture: at >= count - 1 ? undefined : at });
    } else if (input === 'l') setScreen(screen === 'log' ? 'main' : 'log');
    else if (input === '?') setScreen(screen === 'help' ? 'main' : 'help');
    else if (key.escape) setScreen('main');
    else if (input === 'w') onReadWarnings();
    else if (view.end) return;
    else if (input === 'x') setAsked('asking');
    else if (input === 's') {
      controls.sample();
      tell('sampling after this step');
    } else if (input === 'c') {
      controls.checkpoint();
      tell('saving after this step');
    } else if (input === 'p') {
      controls.pause(!isPaused);
      setIsPaused(!isPaused);
    }
  });

  const question = 'Stop after this step, saved? The same command goes on later. y stops, n goes on.';
  const notice = view.end
    ? undefined
    : asked === 'asking'
      ? question
      : asked === 'stopping'
        ? 'stopping: this step is finished and saved; Ctrl-C stops at once'
        : isPaused
          ? 'paused; p goes on'
          : told && told.step === view.step
            ? told.text
            : undefined;
  const pictures = Math.max(0, count - 1);
  const picture = selection.picture === undefined ? undefined : Math.min(selection.picture, pictures);
  return { selection: { prompt: selection.prompt, picture }, screen, notice };
}
