import { createContext, useContext } from 'react';

import type { ColorDepth } from './picture-rows.ts';

/** How the dashboard may draw. */
export interface Look {
  readonly colors: ColorDepth;
  /** Reads a picture of the run as rows of text that fit a box. */
  readonly loadPicture: (path: string, columns: number, rows: number) => Promise<readonly string[] | undefined>;
}

export const LookContext = createContext<Look>({ colors: 'none', loadPicture: () => Promise.resolve(undefined) });

/** What a text is, which decides its colour. */
export type Tone = 'title' | 'good' | 'line' | 'raw' | 'warning' | 'quiet' | 'plain';

const colors = { title: 'cyanBright', good: 'green', line: 'cyanBright', raw: 'blue', warning: 'yellow' } as const;

/** The properties of Ink's Text for a tone. Without colours only weight is left. */
export function useTone(): (tone: Tone) => {
  readonly color?: string;
  readonly bold?: boolean;
  readonly dimColor?: boolean;
} {
  const { colors: depth } = useContext(LookContext);
  return (tone) => {
    if (tone === 'plain') return {};
    const bold = tone === 'title' || tone === 'warning' ? { bold: true } : {};
    if (depth === 'none') return bold;
    return tone === 'quiet' ? { dimColor: true } : { color: colors[tone], ...bold };
  };
}
