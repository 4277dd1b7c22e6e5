import { UserError } from '../errors.ts';

/** Names that a config's `lr_scheduler` may have: those of diffusers' get_scheduler. */
export const scheduleNames = [
  'constant',
  'constant_with_warmup',
  'linear',
  'cosine',
  'cosine_with_restarts',
  'polynomial',
  'piecewise_constant',
] as const;

/** One of `scheduleNames`. */
export type ScheduleName = (typeof scheduleNames)[number];

/** The learning rate of a step; steps count from 0. */
export type Schedule = (step: number) => number;

/** What a schedule is made from. */
export interface ScheduleOptions {
  readonly name: ScheduleName;
  /** The learning rate after warm-up. */
  readonly learningRate: number;
  /** Steps in which the rate rises from 0; `constant` and `piecewise_constant` have none. @default 0 */
  readonly lrWarmupSteps?: number;
  /** Optimizer steps of the run. */
  readonly maxTrainSteps: number;
  /** Hard restarts of `cosine_with_restarts`. @default 1 */
  readonly lrNumCycles?: number;
  /** Exponent of `polynomial`. @default 1 */
  readonly lrPower?: number;
  /** Where `polynomial` ends. @default 1e-7 */
  readonly lrEnd?: number;
  /** For `piecewise_constant`: "1:10,0.1:20,0.01" is the whole rate before step 10, a tenth before 20, then a hundredth. */
  readonly stepRules?: string;
}

/**
 * The schedules of diffusers' get_scheduler (diffusers/optimization.py), by name.
 * @throws UserError when stepRules is missing or malformed, or lrEnd is not below the learning rate
 */
export function createSchedule(options: ScheduleOptions): Schedule {
  const { name, learningRate, lrWarmupSteps: warmup = 0, maxTrainSteps, lrNumCycles = 1, lrPower = 1 } = options;
  const decaySteps = Math.max(1, maxTrainSteps - warmup);
  const progress = (step: number): number => (step - warmup) / decaySteps;
  const afterWarmup =
    (factor: (step: number) => number): Schedule =>
    (step) =>
      learningRate * (step < warmup ? step / Math.max(1, warmup) : factor(step));

  switch (name) {
    case 'constant':
      return () => learningRate;
    case 'constant_with_warmup':
      return afterWarmup(() => 1);
    case 'linear':
      return afterWarmup((step) => Math.max(0, (maxTrainSteps - step) / decaySteps));
    case 'cosine':
      return afterWarmup((step) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress(step)))));
    case 'cosine_with_restarts':
      return afterWarmup((step) => {
        if (progress(step) >= 1) return 0;
        return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((lrNumCycles * progress(step)) % 1))));
      });
    case 'polynomial': {
      const { lrEnd = 1e-7 } = options;
      if (!(learningRate > lrEnd)) {
        throw new UserError(
          `learning_rate is ${learningRate}, not above ${lrEnd}, where the polynomial schedule ends; ` +
            'use a higher learning_rate or another lr_scheduler.',
        );
      }
      return afterWarmup((step) => {
        if (step > maxTrainSteps) return lrEnd / learningRate;
        return ((learningRate - lrEnd) * (1 - progress(step)) ** lrPower + lrEnd) / learningRate;
      });
    }
    case 'piecewise_constant':
      return piecewiseConstant(learningRate, options.stepRules);
  }
}

function piecewiseConstant(learningRate: number, stepRules: string | undefined): Schedule {
  const malformed = (): UserError =>
    new UserError(
      `lr_step_rules is ${JSON.stringify(stepRules) ?? 'absent'}; piecewise_constant needs factors with the steps that ` +
        'they end at and a last factor, such as "1:10,0.1:20,0.01".',
    );
  const parts = stepRules?.split(',') ?? [];
  const last = Number(parts.at(-1)?.trim() || Number.NaN);
  const pieces = parts.slice(0, -1).map((part) => {
    const [factor, end, ...rest] = part.split(':').map((text) => (text.trim() === '' ? Number.NaN : Number(text)));
    if (factor === undefined || !Number.isFinite(factor) || !Number.isInteger(end) || rest.length > 0)
      throw malformed();
    return { factor, end: end ?? 0 };
  });
  if (!Number.isFinite(last)) throw malformed();
  const ordered = pieces.toSorted((a, b) => a.end - b.end);
  return (step) => learningRate * (ordered.find(({ end }) => step < end)?.factor ?? last);
}
