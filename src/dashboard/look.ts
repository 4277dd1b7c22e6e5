import { createContext, useContext } from 'react';

import type { ColorDepth } from './picture-rows.ts';
import type { Marks } from './marks.ts';

/** How the dashboard may draw. */
export interface Look {
  readonly colors: ColorDepth;
  /** How much higher than wide a character is. */
  readonly cellRatio: number;
  readonly marks: Pick<Marks, 'picture' | 'text'>;
}

export const LookContext = createContext<Look | undefined>(undefined);

/** How the dashboard may draw, for its parts. */
export function useLook(): Look {
  const look = useContext(LookContext);
  if (!look) throw new Error('The dashboard is drawn without a look.');
  return look;
}
