import { z } from 'zod';
import { tensor } from '../../../src/graph/tensor.ts';
import type { Tensor } from '../../../src/graph/tensor.ts';
import { createSchedule, scheduleNames } from '../../../src/optim/schedules.ts';
import type { ParityCase } from '../cases.ts';

const paramsSchema = z.object({
  lr_scheduler: z.enum(scheduleNames),
  learning_rate: z.number(),
  lr_warmup_steps: z.number(),
  steps: z.number(),
  lr_num_cycles: z.number(),
  lr_power: z.number(),
});

/** The learning rate of every step. */
export async function run({ params }: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const p = paramsSchema.parse(params);
  const schedule = createSchedule({
    name: p.lr_scheduler,
    learningRate: p.learning_rate,
    lrWarmupSteps: p.lr_warmup_steps,
    maxTrainSteps: p.steps,
    lrNumCycles: p.lr_num_cycles,
    lrPower: p.lr_power,
  });
  const rates = Float64Array.from({ length: p.steps }, (_, step) => schedule(step));
  return new Map([['learning_rates', tensor('float64', [p.steps], rates)]]);
}
