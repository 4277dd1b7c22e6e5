import type { Stage, StepSeconds, TimedEvent } from '../events.ts';
import { plainText } from '../log/plain-text.ts';
import { createSeries, type Series } from '../log/series.ts';

/** How far a stage is. */
export interface StageProgress {
  readonly stage: Stage;
  readonly done: number;
  readonly total: number;
  readonly what: string;
  /** Milliseconds since 1970 of its first and its last event. */
  readonly began: number;
  readonly time: number;
}

/** A picture that was made of a prompt. */
export interface PictureView {
  readonly step: number;
  /** Relative to the run's folder. */
  readonly path: string;
  /** What a CLIP makes of it, where one measures. */
  readonly metrics?: { readonly clipI: number; readonly clipT: number };
}

/** A prompt with the pictures that were made of it. */
export interface PromptView {
  readonly prompt: string;
  readonly seed: number;
  /** Ascending steps. */
  readonly pictures: readonly PictureView[];
}

/** What a dashboard shows of a run: a bounded summary of its events, kept by {@link createRunView}. */
export interface RunView {
  readonly name: string;
  readonly subject: string;
  readonly model: string;
  readonly runDir: string;
  readonly step: number;
  readonly maxTrainSteps: number;
  readonly loss: Series;
  readonly learningRate: Series;
  readonly gradNorm: number | undefined;
  /** Means of the last steps. */
  readonly seconds: StepSeconds | undefined;
  readonly memoryMiB: number;
  readonly stages: readonly StageProgress[];
  readonly validation: Extract<TimedEvent, { kind: 'validation' }> | undefined;
  /** What a CLIP said of the newest samples. */
  readonly metrics: Extract<TimedEvent, { kind: 'metrics' }> | undefined;
  readonly prompts: readonly PromptView[];
  /** The last lines. */
  readonly log: readonly string[];
  /** Those that nobody has read yet. */
  readonly warnings: readonly string[];
  readonly end: Extract<TimedEvent, { kind: 'end' }> | undefined;
  /** When the run last told of something, in milliseconds since 1970. */
  readonly time: number | undefined;
}

const [mostLines, mostWarnings, mostPictures, recentSteps] = [200, 50, 400, 20];

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the run learns, in its config's words: the trigger word, or the caption of all pictures. */
function subjectOf(config: unknown): string {
  const dataset = isMapping(config) ? config['dataset'] : undefined;
  const sources = isMapping(dataset) && Array.isArray(dataset['sources']) ? dataset['sources'] : [];
  const names = sources.flatMap((source: unknown) => {
    const name = isMapping(source) ? (source['trigger_word'] ?? source['instance_prompt']) : undefined;
    return typeof name === 'string' ? [name] : [];
  });
  return [...new Set(names)].join(', ');
}

/**
 * Makes a summary of a run that is fed with its events: each costs the same whenever it comes, and memory stays bounded
 * however long the run is. Its texts are fit for a terminal, whatever the events hold.
 * @param describe a line for the log, or undefined for events that need none
 */
export function createRunView(describe: (event: TimedEvent) => string | undefined): {
  readonly view: RunView;
  apply(event: TimedEvent): void;
  /** Puts warnings away. */
  readWarnings(): void;
} {
  const recent: StepSeconds[] = [];
  const stages = new Map<Stage, StageProgress>();
  const prompts = new Map<number, { prompt: string; seed: number; pictures: PictureView[] }>();
  const log: string[] = [];
  let state: Omit<RunView, 'stages' | 'prompts' | 'log' | 'seconds'> = {
    name: '',
    subject: '',
    model: '',
    runDir: '',
    step: 0,
    maxTrainSteps: 0,
    loss: createSeries(),
    learningRate: createSeries(),
    gradNorm: undefined,
    memoryMiB: 0,
    validation: undefined,
    metrics: undefined,
    warnings: [],
    end: undefined,
    time: undefined,
  };
  const meanOf = (part: keyof StepSeconds): number =>
    recent.reduce((sum, seconds) => sum + seconds[part], 0) / Math.max(1, recent.length);

  function apply(event: TimedEvent): void {
    if (event.kind !== 'log' && event.kind !== 'warning') state = { ...state, time: event.time };
    const line = event.kind === 'step' || event.kind === 'stage' ? undefined : describe(event);
    if (line !== undefined) log.push(plainText(line));
    if (log.length > mostLines) log.splice(0, log.length - mostLines);
    switch (event.kind) {
      case 'run': {
        const { name, model, runDir, firstStep, maxTrainSteps, config } = event;
        const short = plainText(model.split(/[\\/]/).at(-1) ?? model);
        // What comes after the checkpoint that it goes on from is made again.
        state.loss.truncate(firstStep);
        state.learningRate.truncate(firstStep);
        for (const prompt of prompts.values())
          prompt.pictures = prompt.pictures.filter(({ step }) => step <= firstStep);
        const subject = plainText(subjectOf(config));
        state = {
          ...state,
          name: plainText(name),
          subject,
          model: short,
          runDir,
          step: firstStep,
          maxTrainSteps,
          end: undefined,
        };
        break;
      }
      case 'stage': {
        const { stage, done, total, time } = event;
        const what = plainText(event.what ?? '');
        const before = stages.get(stage);
        const isSame = before !== undefined && before.what === what && done >= before.done;
        stages.set(stage, { stage, done, total, what, time, began: isSame ? before.began : time });
        break;
      }
      case 'step': {
        const { step, maxTrainSteps, gradNorm, memoryMiB, loss, learningRate, seconds } = event;
        state.loss.add(step, loss);
        state.learningRate.add(step, learningRate);
        recent.push(seconds);
        if (recent.length > recentSteps) recent.shift();
        state = { ...state, step, maxTrainSteps, gradNorm, memoryMiB };
        break;
      }
      case 'validation':
        state = { ...state, validation: event };
        break;
      case 'metrics':
        state = { ...state, metrics: event };
        for (const { index, clipI, clipT } of event.samples) {
          const prompt = prompts.get(index);
          if (!prompt) continue;
          prompt.pictures = prompt.pictures.map((picture) =>
            picture.step === event.step ? { ...picture, metrics: { clipI, clipT } } : picture,
          );
        }
        break;
      case 'sample': {
        const { index, seed, step, path } = event;
        const prompt = plainText(event.prompt);
        const found = prompts.get(index) ?? { prompt, seed, pictures: [] };
        const pictures = [...found.pictures.filter((picture) => picture.step !== step), { step, path }];
        // Every other one of a very long run, but always the first and the newest.
        const kept =
          pictures.length > mostPictures
            ? pictures.filter((_, i) => i % 2 === 0 || i === pictures.length - 1)
            : pictures;
        prompts.set(index, { prompt, seed, pictures: kept });
        break;
      }
      case 'warning':
        state = { ...state, warnings: [...state.warnings, plainText(event.message)].slice(-mostWarnings) };
        break;
      case 'end':
        state = { ...state, end: event, step: event.reason === 'failed' ? state.step : event.step };
        break;
      case 'checkpoint':
      case 'export':
      case 'log':
        break;
    }
  }

  return {
    get view(): RunView {
      return {
        ...state,
        stages: [...stages.values()],
        prompts: [...prompts].sort(([a], [b]) => a - b).map(([, prompt]) => prompt),
        log,
        seconds:
          recent.length > 0
            ? { data: meanOf('data'), compute: meanOf('compute'), update: meanOf('update') }
            : undefined,
      };
    },
    apply,
    readWarnings() {
      state = { ...state, warnings: [] };
    },
  };
}
