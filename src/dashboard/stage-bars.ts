import { formatDuration } from '../log/plain-log.ts';
import type { StageProgress } from './run-view.ts';
import type { Piece } from './styled-line.ts';

/** A bar of so many characters: its full part, in halves of a character, and the rest. */
export function bar(part: number, width: number): { readonly full: string; readonly rest: string } {
  const halves = Math.round(Math.min(1, Math.max(0, part)) * width * 2);
  const full = '━'.repeat(Math.floor(halves / 2)) + (halves % 2 === 1 ? '╸' : '');
  return { full, rest: '─'.repeat(Math.max(0, width - full.length)) };
}

/** A line with the progress of a stage: a bar, how far it is, and the time that is left or that it took. */
export function stageBar(name: string, done: number, total: number, detail: string, width: number): readonly Piece[] {
  const { full, rest } = bar(total > 0 ? done / total : 0, Math.max(8, Math.min(60, Math.floor(width * 0.3))));
  return [name.padEnd(9), ['good', full], ['quiet', rest], ` ${done}/${total} `, ['quiet', detail]];
}

/** What a stage's line says behind its bar: how fast it is and the time that is left, or the time that it took. */
export function stageDetail({ done, total, what, began, time }: StageProgress, now: number): string {
  const seconds = (time - began) / 1000;
  const rate = done > 0 && seconds > 0 ? `, ${formatRate(done / seconds)}` : '';
  if (done >= total) return `${what}, ${formatDuration(seconds)}${rate}`;
  if (done === 0) return what;
  const left = (seconds / done) * (total - done) - (now - time) / 1000;
  return `${what}, ${formatDuration(Math.max(0, left))} left${rate}`;
}

/** So many a second, or, where that is less than one, the time that one takes. */
function formatRate(perSecond: number): string {
  return perSecond >= 1
    ? `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} a second`
    : `${formatDuration(1 / perSecond)} each`;
}
