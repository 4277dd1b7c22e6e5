import { createContext, useContext } from 'react';

import type { ColorDepth } from './picture-rows.ts';

/** How the dashboard may draw. */
export interface Look {
  readonly colors: ColorDepth;
  /** How much higher than wide a character is. */
  readonly cellRatio: number;
  /** The character that is to fill a picture's box: the screen shows the picture in its place (see PictureMarks). */
  readonly markPicture: (path: string, columns: number, rows: number) => string;
}

export const LookContext = createContext<Look>({ colors: 'none', cellRatio: 2, markPicture: () => ' ' });

/** What a text is, which decides its colour. */
export type Tone = 'title' | 'key' | 'good' | 'line' | 'raw' | 'warning' | 'quiet' | 'plain';

/** Named colours, which a terminal's own theme makes readable on its background. */
const colors = {
  title: { color: 'cyanBright', bold: true },
  key: { bold: true },
  good: { color: 'green' },
  line: { color: 'cyanBright' },
  raw: { color: 'cyan', dimColor: true },
  warning: { color: 'yellow', bold: true },
  quiet: { dimColor: true },
  plain: {},
} as const;

/** The properties of Ink's Text for a tone. Without colours only weight is left. */
export function useTone(): (tone: Tone) => {
  readonly color?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
} {
  const { colors: depth } = useContext(LookContext);
  return (tone) => {
    if (depth !== 'none') return colors[tone];
    return tone === 'title' || tone === 'key' || tone === 'warning' ? { bold: true } : {};
  };
}
