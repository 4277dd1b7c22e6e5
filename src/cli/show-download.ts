import type { TrainEvent } from '../events.ts';
import { formatBytes } from '../io/format-bytes.ts';
import type { ProgressLine } from './progress-line.ts';

/** Shows how a model's download goes on; what is to stay is printed above the line. */
export function showDownload(progress: ProgressLine, event: TrainEvent): void {
  if (event.kind === 'stage') {
    const { done, total } = event;
    const percent = Math.floor((100 * done) / Math.max(1, total));
    progress.show(
      done < total ? `download: ${formatBytes(done * 1e6)} of ${formatBytes(total * 1e6)} (${percent}%)` : '',
    );
  } else if (event.kind === 'log' || event.kind === 'warning') {
    progress.clear();
    process.stderr.write(`${event.kind === 'warning' ? 'warning: ' : ''}${event.message}\n`);
  }
}
