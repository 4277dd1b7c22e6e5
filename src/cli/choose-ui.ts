/** How a run is shown. */
export type Ui = 'ink' | 'plain' | 'json';

/** What the choice depends on beside what was asked for. */
export interface UiSurroundings {
  /** Whether both stdin and stdout are a terminal: keys come from one, frames go to the other. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Chooses how a run is shown. The dashboard needs a terminal that can move its cursor; in CI and for a screen reader
 * (INK_SCREEN_READER, as all of Ink's programs) lines are better.
 */
export function chooseUi(asked: 'auto' | Ui, { isTerminal, env }: UiSurroundings): Ui {
  if (asked !== 'auto' && asked !== 'ink') return asked;
  if (!isTerminal || env['TERM'] === 'dumb') return 'plain';
  if (asked === 'ink') return 'ink';
  const isSet = (name: string): boolean => !['', '0', 'false', undefined].includes(env[name]);
  return isSet('CI') || isSet('INK_SCREEN_READER') ? 'plain' : 'ink';
}

/** How many colours the terminal shows: none with NO_COLOR (https://no-color.org), all where it says so, else 256. */
export function colorDepth(env: UiSurroundings['env']): 'none' | '256' | 'full' {
  if ((env['NO_COLOR'] ?? '') !== '') return 'none';
  return ['truecolor', '24bit'].includes(env['COLORTERM'] ?? '') ? 'full' : '256';
}
