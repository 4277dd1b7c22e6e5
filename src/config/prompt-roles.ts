import { chosenClip } from '../caption/bundled-models.ts';
import { classPrompts } from './class-prompts.ts';
import type { Config, SourceConfig } from './schema.ts';

/** What a sample's prompt asks for. */
export interface PromptRole {
  /** `class`: none of the subjects, so that training should leave its pictures as they were. */
  readonly role: 'subject' | 'class';
  /** The sources whose pictures it is to look like, or, of a class prompt, not to look like. */
  readonly sources: readonly number[];
}

type Naming = Pick<SourceConfig, 'trigger_word' | 'instance_prompt' | 'class_prompt'>;

function words(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
}

function contains(all: readonly string[], part: readonly string[]): boolean {
  return all.some((_, start) => part.every((word, i) => all[start + i] === word));
}

/** The words that name a source's subject: its trigger, or what its instance prompt says more than its class prompt. */
function subjectWords({ trigger_word, instance_prompt, class_prompt }: Naming): readonly string[] {
  if (trigger_word !== null) return words(trigger_word);
  const common = classPrompts({ class_prompt }).flatMap(words);
  if (common.length === 0 || instance_prompt === null) return [];
  return words(instance_prompt).filter((word) => !common.includes(word));
}

/** What a prompt asks for: the sources that it names. Without words to tell by, it is for the subject. */
export function promptRole(prompt: string, sources: readonly Naming[]): PromptRole {
  const own = words(prompt);
  const subjects = sources.map(subjectWords);
  const all = sources.map((_, i) => i);
  const pick = (isWanted: (subject: readonly string[]) => boolean): readonly number[] =>
    all.filter((i) => isWanted(subjects[i] ?? []));
  const named = pick((subject) => subject.length > 0 && contains(own, subject));
  if (named.length > 0) return { role: 'subject', sources: named };
  const nameless = pick((subject) => subject.length === 0);
  return nameless.length > 0 ? { role: 'subject', sources: nameless } : { role: 'class', sources: all };
}

/** The CLIP that measures a run's samples; undefined for none. */
export function sampleClip({ sample, model }: Pick<Config, 'sample' | 'model'>): string | undefined {
  const chosen = sample.every === 0 ? 'none' : (chosenClip(sample.clip_model, model.path) ?? 'none');
  return chosen === 'none' ? undefined : chosen;
}

/** Class prompts that are sampled beside the config's own, so that there is one where samples are measured. */
export function addedClassPrompts(config: Pick<Config, 'dataset' | 'model' | 'sample'>): readonly string[] {
  const { sources } = config.dataset;
  const hasOne = config.sample.prompts.some(({ prompt }) => promptRole(prompt, sources).role === 'class');
  if (hasOne || sampleClip(config) === undefined) return [];
  const prompts = sources.flatMap((source) => classPrompts(source).slice(0, 1));
  return [...new Set(prompts)].filter((prompt) => promptRole(prompt, sources).role === 'class');
}
