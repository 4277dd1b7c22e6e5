import { createSupportsTerminalGraphics } from 'supports-terminal-graphics';

/** How pictures get onto a terminal: by one of the three graphics protocols, or as half blocks in its characters. */
export type PictureProtocol = 'kitty' | 'iterm2' | 'sixel' | 'blocks';

const protocols: readonly string[] = ['kitty', 'iterm2', 'sixel', 'blocks'] satisfies PictureProtocol[];

/** A character's size in pixels. */
export interface CellSize {
  readonly width: number;
  readonly height: number;
}

/** What a terminal said of itself. */
export interface TerminalAnswers {
  /** Whether it answers kitty's graphics protocol (https://sw.kovidgoyal.net/kitty/graphics-protocol/). */
  readonly hasKitty: boolean;
  /** Whether its device attributes name sixel graphics: number 4 (https://vt100.net/docs/vt510-rm/DA1.html). */
  readonly hasSixel: boolean;
  /** Its name and version (XTVERSION); empty where it does not tell. */
  readonly name: string;
  readonly cell: CellSize | undefined;
  /** Whether all answers have come: device attributes are asked for last, and every terminal knows them. */
  readonly isComplete: boolean;
}

/** Before a terminal said anything. */
export const noAnswers: TerminalAnswers = {
  hasKitty: false,
  hasSixel: false,
  name: '',
  cell: undefined,
  isComplete: false,
};

/**
 * Asks a terminal what it can: one pixel by kitty's protocol that is not to be shown, its name (XTVERSION), the pixels
 * of a character (XTWINOPS 16), device attributes (DA1). A terminal passes over what it does not know.
 */
export const questions = '\u001b_Gi=1,s=1,v=1,a=q,t=d,f=24;AAAA\u001b\\\u001b[>0q\u001b[16t\u001b[c';

const answer =
  // oxlint-disable-next-line no-control-regex
  /\u001b_G(?<kitty>[^\u001b]*)\u001b\\|\u001bP>\|(?<name>[^\u001b]*)\u001b\\|\u001b\[6;(?<height>\d+);(?<width>\d+)t|\u001b\[\?(?<attributes>[\d;]*)c/gu;

/** The beginning of an answer at the end of what has come so far: the rest is on its way. */
const unfinished =
  // oxlint-disable-next-line no-control-regex
  /\u001b(?:_[^\u001b]*\u001b?|P[^\u001b]*\u001b?|\[(?:\?[\d;]*|6[\d;]*)?)?$/u;

/**
 * Takes a terminal's answers out of what it sent.
 * @returns the keys that came between them, and what may be the beginning of another answer
 */
export function takeAnswers(
  text: string,
  before: TerminalAnswers,
): { readonly keys: string; readonly rest: string; readonly answers: TerminalAnswers } {
  let answers = before;
  const keys = text.replace(answer, (...matched: readonly unknown[]) => {
    const { kitty, name, height, width, attributes } = matched.at(-1) as Readonly<Record<string, string | undefined>>;
    if (kitty !== undefined) answers = { ...answers, hasKitty: kitty.endsWith(';OK') };
    else if (name !== undefined) answers = { ...answers, name };
    else if (attributes === undefined) answers = { ...answers, cell: { width: Number(width), height: Number(height) } };
    else answers = { ...answers, hasSixel: attributes.split(';').slice(1).includes('4'), isComplete: true };
    return '';
  });
  const rest = answers.isComplete ? '' : (unfinished.exec(keys)?.[0] ?? '');
  return { keys: keys.slice(0, keys.length - rest.length), rest, answers };
}

/**
 * Chooses how pictures are shown. What the terminal says of itself counts most; iTerm2's protocol cannot be asked for,
 * so there its name or the environment decides. Inside tmux and screen the environment is that of the terminal around
 * them, through which pictures would not come: half blocks always do. `SANA_TRAIN_PICTURES` overrules everything.
 */
export function choosePictures(
  env: Readonly<Record<string, string | undefined>>,
  { hasKitty, hasSixel, name, cell }: TerminalAnswers,
  supports: { readonly iterm2: boolean } = createSupportsTerminalGraphics({ isTTY: true }),
): PictureProtocol {
  const asked = env['SANA_TRAIN_PICTURES'] ?? '';
  // In the list: checked.
  if (protocols.includes(asked)) return asked as PictureProtocol;
  const isMultiplexed = ['TMUX', 'STY', 'ZELLIJ'].some((variable) => (env[variable] ?? '') !== '');
  if (isMultiplexed || /^(screen|tmux)/.test(env['TERM'] ?? '') || /^(tmux|screen)/i.test(name)) return 'blocks';
  if (hasKitty) return 'kitty';
  if (supports.iterm2 || name.startsWith('iTerm2')) return 'iterm2';
  // Sixels are pixels: without a character's size nobody knows which of them a picture would cover.
  return hasSixel && cell ? 'sixel' : 'blocks';
}
