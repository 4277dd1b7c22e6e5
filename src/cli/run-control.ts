import type { TrainHooks } from '../../trainers/lora.ts';
import type { RunCommand } from '../run/control-file.ts';
import type { StopSignals } from './stop-signals.ts';

/** What people want of a run, by keys or from another process, kept until the trainer asks between two steps. */
export interface RunControl {
  /** The trainer's question; waits while the run is paused. */
  readonly ask: NonNullable<TrainHooks['control']>;
  command(command: RunCommand): void;
}

/** What was asked for since the trainer last asked. */
interface Wanted {
  readonly sample: boolean;
  readonly checkpoint: boolean;
  readonly prompts: readonly string[];
}

const nothing: Wanted = { sample: false, checkpoint: false, prompts: [] };

/** Typed prompts that may wait for a step's end; more is no person at a keyboard. */
const mostPrompts = 20;

/**
 * Makes a run's control.
 * @param stop what Ctrl-C does
 * @param onPause told when the run waits, and when it goes on
 */
export function createRunControl(stop: StopSignals, onPause: (isPaused: boolean) => Promise<void>): RunControl {
  let wanted: Wanted = nothing;
  let pause: Pause | undefined;
  const goOn = (): void => {
    pause?.end();
    pause = undefined;
  };
  stop.signal.addEventListener('abort', goOn);
  return {
    async ask() {
      if (pause) {
        await onPause(true);
        // Paused again before this went on: then that is waited for too.
        for (let current: Pause | undefined = pause; current; current = pause) await current.over;
        await onPause(false);
      }
      const answer = { stop: stop.signal.aborted, ...wanted };
      wanted = nothing;
      return answer;
    },
    command(command) {
      if (typeof command === 'object') {
        if (wanted.prompts.length < mostPrompts) wanted = { ...wanted, prompts: [...wanted.prompts, command.prompt] };
      } else if (command === 'sample') wanted = { ...wanted, sample: true };
      else if (command === 'checkpoint') wanted = { ...wanted, checkpoint: true };
      else if (command === 'stop') stop.request();
      else if (command === 'go-on') goOn();
      else if (!stop.signal.aborted) pause ??= createPause();
    },
  };
}

/** A wait that somebody else ends. */
interface Pause {
  readonly over: Promise<void>;
  end(): void;
}

function createPause(): Pause {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { over, end: () => end() };
}
