import type { ModelConfig } from '../config/schema.ts';
import { chiLines } from '../text/chi.ts';

/** How a config has captions read. */
export interface TextSettings {
  /** The instruction before captions, by its lines. */
  readonly chi: readonly string[] | null;
  readonly chiName: string | null;
  /** Tokens of the text window. */
  readonly maxSequenceLength: number;
}

/** How captions are read, by the config's names for it; where it names none, as sampling does. */
export function textSettings({
  complex_human_instruction: setting,
  max_sequence_length: length,
}: ModelConfig): TextSettings {
  const maxSequenceLength = length === 'auto' ? 300 : length;
  if (typeof setting === 'object') return { chi: setting, chiName: 'own', maxSequenceLength };
  const name = setting === 'auto' ? 'diffusers' : setting;
  if (name === 'none') return { chi: null, chiName: null, maxSequenceLength };
  return { chi: chiLines[name], chiName: name, maxSequenceLength };
}
