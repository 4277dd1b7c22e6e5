/** The stages of a run, in order. */
export type Stage = 'download' | 'captions' | 'cache' | 'train' | 'sample' | 'export';

/** Seconds of one optimizer step, by what they went into. */
export interface StepSeconds {
  /** Waiting for the batch. */
  readonly data: number;
  /** Forward and backward pass. */
  readonly compute: number;
  /** Accumulation, clipping and the optimizer. */
  readonly update: number;
}

/** One picture's part in a step. */
export interface ExampleLoss {
  /** The example's id: data set and file. */
  readonly id: string;
  readonly sigma: number;
  readonly loss: number;
}

/** How a sample compares with its prompt and with training pictures, in cosines of CLIP's embeddings, -1 to 1. */
export interface SampleMetrics {
  /** Of the sample. */
  readonly index: number;
  readonly prompt: string;
  readonly seed: number;
  /** Whether the prompt asks for what is trained, or for its class alone, which should stay as it was. */
  readonly role: 'subject' | 'class';
  /** CLIP-I: with the training pictures of the subject, the mean over them. Of a class prompt: with all of them. */
  readonly clipI: number;
  /** CLIP-T: with the prompt. */
  readonly clipT: number;
  /** Of a class prompt: with the picture of step 0 from the same seed, where there is one. */
  readonly clipIToStart?: number;
}

/** Means of {@link SampleMetrics} over prompts of one role. */
export type MeanMetrics = Pick<SampleMetrics, 'clipI' | 'clipT' | 'clipIToStart'>;

/**
 * What happens in a run, told by the trainer and consumed by the dashboard, the log, TensorBoard and the report.
 * Steps count finished optimizer steps: step 0 is before the first.
 */
export type TrainEvent =
  | {
      readonly kind: 'run';
      readonly name: string;
      readonly runDir: string;
      readonly model: string;
      /** The step that training goes on from: 0, or a checkpoint's. */
      readonly firstStep: number;
      readonly maxTrainSteps: number;
      /** The resolved config, snake_case as in YAML. */
      readonly config: unknown;
    }
  | {
      readonly kind: 'stage';
      readonly stage: Stage;
      readonly done: number;
      readonly total: number;
      readonly what?: string;
    }
  | {
      readonly kind: 'step';
      readonly step: number;
      readonly maxTrainSteps: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      readonly seconds: StepSeconds;
      readonly examples: readonly ExampleLoss[];
      /** Resident memory of the process, in MiB. */
      readonly memoryMiB: number;
    }
  | {
      readonly kind: 'validation';
      readonly step: number;
      readonly loss: number;
      readonly bins: readonly { readonly from: number; readonly to: number; readonly loss: number }[];
    }
  | {
      readonly kind: 'sample';
      readonly step: number;
      readonly index: number;
      readonly prompt: string;
      readonly seed: number;
      /** Relative to the run's folder. */
      readonly path: string;
      readonly seconds: number;
    }
  | {
      readonly kind: 'metrics';
      readonly step: number;
      /** The CLIP that measured. */
      readonly model: string;
      readonly samples: readonly SampleMetrics[];
      readonly subject?: MeanMetrics;
      readonly class?: MeanMetrics;
      /** What it took, with loading the CLIP. */
      readonly seconds: number;
    }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly path: string }
  | { readonly kind: 'export'; readonly format: string; readonly path: string }
  | { readonly kind: 'log'; readonly message: string }
  | { readonly kind: 'warning'; readonly message: string }
  | {
      readonly kind: 'end';
      readonly reason: 'done' | 'stopped' | 'failed';
      readonly step: number;
      readonly message?: string;
    };

/** An event with the time it happened, in milliseconds since 1970: what events.jsonl holds, one a line. */
export type TimedEvent = TrainEvent & { readonly time: number };
