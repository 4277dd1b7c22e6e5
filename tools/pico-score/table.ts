import { baseHeads, confusions, headScore, type Judged, type JudgedSets, priorHeads, subjectHeads } from './scores.ts';
import type { Head } from './world.ts';

/** The figures with what they are made of, for people to read. */
export function table({ base, subject, prior }: JudgedSets): string {
  const lines = [`base (${base.length} pictures)`, ...rows(base, baseHeads)];
  for (const [title, set, of] of [
    ['subject', subject, [...subjectHeads, 'background']],
    ['prior', prior, [...priorHeads, 'background']],
  ] as const) {
    if (!set) continue;
    lines.push(`${title} with the adapter (${set.adapted.length} pictures)`, ...rows(set.adapted, of));
    lines.push(`${title} without (${set.base.length} pictures)`, ...rows(set.base, of));
  }
  return lines.join('\n');
}

/** A line a head: its share, then each class: how many of how many, and what was seen instead. */
function rows(judged: readonly Judged[], of: readonly Head[]): string[] {
  return of.map((head) => {
    const score = headScore(judged, head)?.toFixed(1) ?? '-';
    return `  ${head.padEnd(10)} ${score.padStart(5)}  ${confusions(judged, head).join('; ')}`;
  });
}
