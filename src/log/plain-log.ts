import type { TimedEvent } from '../events.ts';
import { createSpeed } from './speed.ts';

/** Seconds as people say them: 4.2 s, 3 min 05 s, 2 h 10 min. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds % 60)).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/**
 * Makes the plain log's lines of events: what is used where there is no terminal. One line a step that a person can
 * read, one for everything else that matters, and for stages one at their end and now and then between.
 *
 * @param every print the line of every so many steps
 */
export function createPlainLog(every = 1): (event: TimedEvent) => string | undefined {
  let recent: number[] = [];
  let stage = { name: '', begun: 0, told: 0, speed: createSpeed() };
  return (event) => {
    switch (event.kind) {
      case 'run':
        return `${event.name}: ${event.model}, steps ${event.firstStep} to ${event.maxTrainSteps}, in ${event.runDir}`;
      case 'stage': {
        if (event.stage === 'train') return undefined;
        const name = `${event.stage} ${event.what ?? ''}`;
        if (stage.name !== name) stage = { name, begun: event.time, told: event.time, speed: createSpeed() };
        const elapsed = (event.time - stage.begun) / 1000;
        const finished = event.done >= event.total;
        const speed = stage.speed(event.done, elapsed);
        if (!finished && event.time - stage.told < 10_000) return undefined;
        stage.told = event.time;
        const far = `${event.stage}: ${event.done} of ${event.total}${event.what === undefined ? '' : ` ${event.what}`}`;
        if (finished) return `${far}, in ${formatDuration(elapsed)}`;
        return speed === undefined ? far : `${far}, ${formatDuration((event.total - event.done) / speed)} left`;
      }
      case 'step': {
        const { data, compute, update } = event.seconds;
        const seconds = data + compute + update;
        recent = [...recent.slice(-19), seconds];
        if (event.step % every !== 0 && event.step !== event.maxTrainSteps) return undefined;
        const mean = recent.reduce((a, b) => a + b, 0) / recent.length;
        const left = mean * (event.maxTrainSteps - event.step);
        return [
          `step ${String(event.step).padStart(String(event.maxTrainSteps).length)}/${event.maxTrainSteps}`,
          `loss ${event.loss.toFixed(4)}`,
          `norm ${event.gradNorm.toFixed(3)}`,
          `lr ${event.learningRate.toPrecision(3)}`,
          `${seconds.toFixed(2)} s`,
          `${formatDuration(left)} left`,
        ].join('  ');
      }
      case 'validation':
        return `validation at step ${event.step}: loss ${event.loss.toFixed(4)} (${event.bins.map(({ from, to, loss }) => `sigma ${from.toFixed(2)}-${to.toFixed(2)}: ${loss.toFixed(4)}`).join(', ')})`;
      case 'sample':
        return `sample at step ${event.step}: ${event.path} (${formatDuration(event.seconds)})`;
      case 'metrics': {
        const { subject, class: ofClass } = event;
        const start = ofClass?.clipIToStart;
        const parts = [
          subject && `CLIP-I ${subject.clipI.toFixed(3)}, CLIP-T ${subject.clipT.toFixed(3)}`,
          ofClass &&
            `class prompts: ${start === undefined ? '' : `${start.toFixed(3)} as at step 0, `}CLIP-T ${ofClass.clipT.toFixed(3)}`,
        ].filter((part) => part !== undefined);
        return `metrics at step ${event.step}: ${parts.join('; ')} (${formatDuration(event.seconds)})`;
      }
      case 'checkpoint':
        return `saved ${event.path}`;
      case 'export':
        return `wrote ${event.path} (${event.format})`;
      case 'log':
        return event.message;
      case 'warning':
        return `warning: ${event.message}`;
      case 'end':
        return event.reason === 'done'
          ? `done after ${event.step} steps${event.message === undefined ? '' : `: ${event.message}`}`
          : `${event.reason} at step ${event.step}${event.message === undefined ? '' : `: ${event.message}`}`;
    }
  };
}
