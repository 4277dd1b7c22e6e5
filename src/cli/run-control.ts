import type { TrainHooks } from '../../trainers/lora.ts';
import type { RunCommand } from '../run/control-file.ts';
import type { StopSignals } from './stop-signals.ts';

/** What people want of a run, by keys or from another process, kept until the trainer asks between two steps. */
export interface RunControl {
  /** The trainer's question; waits while the run is paused. */
  readonly ask: NonNullable<TrainHooks['control']>;
  command(command: RunCommand): void;
}

/**
 * Makes a run's control.
 * @param stop what Ctrl-C does
 * @param onPause told when the run waits, and when it goes on
 */
export function createRunControl(stop: StopSignals, onPause: (isPaused: boolean) => Promise<void>): RunControl {
  let wanted = { sample: false, checkpoint: false };
  let isPaused = false;
  let wake = (): void => undefined;
  stop.signal.addEventListener('abort', () => wake());
  return {
    async ask() {
      if (isPaused && !stop.signal.aborted) {
        await onPause(true);
        while (isPaused && !stop.signal.aborted) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        await onPause(false);
      }
      const answer = { stop: stop.signal.aborted, ...wanted };
      wanted = { sample: false, checkpoint: false };
      return answer;
    },
    command(command) {
      if (command === 'sample') wanted.sample = true;
      else if (command === 'checkpoint') wanted.checkpoint = true;
      else if (command === 'stop') stop.request();
      else isPaused = command === 'pause';
      wake();
    },
  };
}
