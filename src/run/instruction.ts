import type { ModelConfig } from '../config/schema.ts';
import { chiLines } from '../text/chi.ts';

/** The instruction before captions, by the config's name for it; the one that sampling has where it names none. */
export function instruction({ complex_human_instruction: setting }: ModelConfig): {
  readonly chi: readonly string[] | null;
  readonly chiName: string | null;
} {
  if (typeof setting === 'object') return { chi: setting, chiName: 'own' };
  const name = setting === 'auto' ? 'diffusers' : setting;
  return name === 'none' ? { chi: null, chiName: null } : { chi: chiLines[name], chiName: name };
}
