import { z } from 'zod';
import { float32, type Tensor } from '../../../src/graph/tensor.ts';
import { createTrainingStep } from '../../../src/lora/training-step.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import { createSchedule } from '../../../src/optim/schedules.ts';
import { initialState } from '../../../src/run/train-state.ts';
import { trainLora } from '../../../trainers/lora.ts';
import type { ParityCase } from '../cases.ts';
import { batchOf, closeSharedEngine, sharedEngine, transformerOf } from '../pipeline.ts';
import { adapterOf, asExpected, parametersOf } from './lora-grad.ts';

const paramsSchema = z.object({
  optimizer: z.literal('adamw'),
  learning_rate: z.number(),
  betas: z.tuple([z.number(), z.number()]),
  weight_decay: z.number(),
  eps: z.number(),
  max_grad_norm: z.number(),
  lr_scheduler: z.literal('cosine'),
  lr_warmup_steps: z.number(),
  steps: z.number(),
  gradient_accumulation_steps: z.number(),
});

export async function run(parityCase: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const p = paramsSchema.parse(parityCase.params);
  const model = await transformerOf(parityCase);
  const adapter = await adapterOf(parityCase);
  const trainingStep = await createTrainingStep(sharedEngine(), model, adapter.modules);
  const optimizer = createOptimizer({ name: p.optimizer, betas: p.betas, eps: p.eps, weightDecay: p.weight_decay });
  const state = initialState(parametersOf(adapter), optimizer);
  const schedule = createSchedule({
    name: p.lr_scheduler,
    learningRate: p.learning_rate,
    lrWarmupSteps: p.lr_warmup_steps,
    maxTrainSteps: p.steps,
  });
  const [losses, norms, rates]: [number[], number[], number[]] = [[], [], []];
  for await (const event of trainLora({
    trainingStep,
    optimizer,
    state,
    schedule,
    batch: (index) => batchOf(parityCase, model, `${index}.`),
    maxTrainSteps: p.steps,
    gradientAccumulationSteps: p.gradient_accumulation_steps,
    maxGradNorm: p.max_grad_norm,
  })) {
    if (event.kind !== 'step') continue;
    losses.push(event.loss);
    norms.push(event.gradNorm);
    rates.push(event.learningRate);
  }
  await trainingStep.dispose();
  return new Map<string, Tensor>([
    ['losses', float32([p.steps], losses)],
    ['grad_norms', float32([p.steps], norms)],
    ['learning_rates', float32([p.steps], rates)],
    ...asExpected(state.parameters),
  ]);
}

export const dispose = closeSharedEngine;
