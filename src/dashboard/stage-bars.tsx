import { Text } from 'ink';

import { formatDuration } from '../log/plain-log.ts';
import { useTone } from './look.ts';
import type { StageProgress } from './run-view.ts';

/** A bar of full and empty characters. */
export function bar(part: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width);
  return '█'.repeat(full) + '░'.repeat(Math.max(0, width - full));
}

/** A line with the progress of a stage: a bar, how far it is, and the time that is left or that it took. */
export function StageBar({
  name,
  done,
  total,
  detail,
  width,
}: {
  readonly name: string;
  readonly done: number;
  readonly total: number;
  readonly detail: string;
  readonly width: number;
}) {
  const tone = useTone();
  const barWidth = Math.max(8, Math.min(40, Math.floor(width / 4)));
  return (
    <Text wrap="truncate">
      {name.padEnd(9)}
      <Text {...tone('good')}>{bar(total > 0 ? done / total : 0, barWidth)}</Text> {done}/{total} {detail}
    </Text>
  );
}

/** What a stage's line says behind its bar. */
export function stageDetail({ done, total, what, began, time }: StageProgress, now: number): string {
  const seconds = (time - began) / 1000;
  if (done >= total) return `${what}, ${formatDuration(seconds)}`;
  if (done === 0) return what;
  const left = (seconds / done) * (total - done) - (now - time) / 1000;
  return `${what}, ${formatDuration(Math.max(0, left))} left`;
}
