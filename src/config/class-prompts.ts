import type { SourceConfig } from './schema.ts';

/** What a source's class pictures show; empty without prior preservation. */
export function classPrompts({ class_prompt }: Pick<SourceConfig, 'class_prompt'>): readonly string[] {
  return typeof class_prompt === 'string' ? [class_prompt] : (class_prompt ?? []);
}
