import { type Head, type Scene, vocabulary } from './world.ts';

/** What was asked of a picture, and what the probe and clip-pico say of it. */
export interface Judged {
  /** Classes that the prompt names. */
  readonly expected: Partial<Scene>;
  readonly seen: Scene;
  /** The cosine of picture and prompt. */
  readonly similarity: number;
}

/** Per cent of some pictures, or null of none. */
export function share(hits: readonly boolean[]): number | null {
  return hits.length === 0 ? null : (100 * hits.filter(Boolean).length) / hits.length;
}

/** Per cent of the pictures whose prompt names a class of `head` that show it. */
export function headScore(judged: readonly Judged[], head: Head): number | null {
  const named = judged.filter(({ expected }) => expected[head] !== undefined);
  return share(named.map(({ expected, seen }) => seen[head] === expected[head]));
}

/** Per cent of the pictures that show all classes that were asked for, of the heads given. */
export function jointScore(judged: readonly Judged[], of: readonly Head[]): number | null {
  return share(judged.map(({ expected, seen }) => of.every((head) => seen[head] === expected[head])));
}

/** 100 times the mean cosine of picture and prompt. */
export function clipScore(judged: readonly Judged[]): number | null {
  if (judged.length === 0) return null;
  return (100 * judged.reduce((sum, { similarity }) => sum + similarity, 0)) / judged.length;
}

/** What makes the subject: the right animal, its coat, its emblem and the accessory in its colour. */
export const subjectHeads: readonly Head[] = ['animal', 'coat', 'emblem', 'accessory', 'cloth'];

/** What must not be lost of other subjects. */
export const priorHeads: readonly Head[] = ['animal', 'coat'];

/** What is measured on the base prompts. */
export const baseHeads: readonly Head[] = ['animal', 'coat', 'background', 'pattern', 'accessory', 'emblem'];

/** The sets of pictures of a run; the last two only with an adapter, each made with it and without. */
export interface JudgedSets {
  readonly base: readonly Judged[];
  readonly subject?: WithAndWithout;
  readonly prior?: WithAndWithout;
}

/** The same pictures with the adapter and without. */
export interface WithAndWithout {
  readonly adapted: readonly Judged[];
  readonly base: readonly Judged[];
}

/** The figures by name, per cent to one decimal; `priorLoss` in points. */
export function figures({ base, subject, prior }: JudgedSets): Record<string, number | null> {
  const result: Record<string, number | null> = {};
  for (const head of baseHeads) result[head] = rounded(headScore(base, head));
  result['clipScore'] = rounded(clipScore(base));
  if (subject) {
    result['subject'] = rounded(jointScore(subject.adapted, subjectHeads));
    result['subjectBefore'] = rounded(jointScore(subject.base, subjectHeads));
  }
  if (prior) {
    const [after, before] = [jointScore(prior.adapted, priorHeads), jointScore(prior.base, priorHeads)];
    result['prior'] = rounded(after);
    result['priorBefore'] = rounded(before);
    result['priorLoss'] = after === null || before === null ? null : rounded(before - after);
  }
  return result;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(10 * value) / 10;
}

/** For people: how many of each class were asked for and seen, and what was most often seen in its place. */
export function confusions(judged: readonly Judged[], head: Head): string[] {
  return vocabulary.heads[head].flatMap((name) => {
    const asked = judged.filter(({ expected }) => expected[head] === name);
    if (asked.length === 0) return [];
    const wrong = new Map<string, number>();
    for (const { seen } of asked) if (seen[head] !== name) wrong.set(seen[head], (wrong.get(seen[head]) ?? 0) + 1);
    const right = asked.filter(({ seen }) => seen[head] === name).length;
    const instead = [...wrong].sort((a, b) => b[1] - a[1]).slice(0, 3);
    return [`${name} ${right}/${asked.length}${instead.map(([other, n]) => `, ${other} ${n}`).join('')}`];
  });
}
