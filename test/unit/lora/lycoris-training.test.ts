import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { closeSharedEngine, batchOf, sharedEngine, transformerOf } from '../../../tools/parity/pipeline.ts';
import { trainLora } from '../../../trainers/lora.ts';
import { float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import { openSafetensors, readTensor } from '../../../src/io/safetensors.ts';
import { readAnyAdapter } from '../../../src/lora/formats/read-any-adapter.ts';
import { createTrainingStep } from '../../../src/lora/training-step.ts';
import { sanaModules } from '../../../src/models/sana-transformer-config.ts';
import { createOptimizer } from '../../../src/optim/create-optimizer.ts';
import { createSchedule } from '../../../src/optim/schedules.ts';
import { initialState } from '../../../src/run/train-state.ts';

// The model and its batches, as parity_cases.py wrote them; the adapters, as train_lycoris.py did with lycoris 4.1.3.
const plain = path.join(import.meta.dirname, '..', '..', 'parity', 'goldens', 'plain');
const goldens = path.join(import.meta.dirname, 'goldens', 'lycoris');
afterAll(closeSharedEngine);

async function tensorsOf(file: string): Promise<ReadonlyMap<string, Tensor>> {
  const { tensors } = await openSafetensors(file);
  return new Map(
    await Promise.all([...tensors].map(async ([name, location]) => [name, await readTensor(location)] as const)),
  );
}

describe('trainLora', () => {
  it.each(['lokr', 'lokr-both', 'lokr-full', 'loha'])('trains as LyCORIS does: %s', async (name) => {
    const inputs = await tensorsOf(path.join(plain, 'lora_all_r3_a6_train.inputs.safetensors'));
    const given = { kind: '', name, params: {}, inputs, folder: plain, expectedNames: [] };
    const model = await transformerOf(given);
    const start = await readAnyAdapter(path.join(goldens, `${name}.start.safetensors`), sanaModules(model.config));
    const begun = new Map([...start.tensors].map(([key, value]) => [key, float32(value.shape, toFloat32(value))]));
    const trainingStep = await createTrainingStep(sharedEngine(), model, start.modules);
    const optimizer = createOptimizer({ name: 'adamw', betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2 });
    const state = initialState(begun, optimizer);
    const { parameters } = state;
    const schedule = createSchedule({ name: 'cosine', learningRate: 3e-3, lrWarmupSteps: 3, maxTrainSteps: 12 });
    const [losses, norms]: [number[], number[]] = [[], []];
    for await (const event of trainLora({
      trainingStep,
      optimizer,
      state,
      schedule,
      batch: (index) => batchOf(given, model, `${index}.`),
      maxTrainSteps: 12,
      gradientAccumulationSteps: 2,
      maxGradNorm: 0.05,
    })) {
      if (event.kind !== 'step') continue;
      losses.push(event.loss);
      norms.push(event.gradNorm);
    }
    await trainingStep.dispose();

    const expected = await tensorsOf(path.join(goldens, `${name}.expected.safetensors`));
    expect(losses).toBeAllclose(expected.get('losses') ?? [], { rtol: 1e-4 });
    expect(norms).toBeAllclose(expected.get('grad_norms') ?? [], { rtol: 1e-3 });
    const trained = [...expected].filter(([key]) => /\.(lokr|hada)_/.test(key));
    expect(new Set(trained.map(([key]) => key))).toEqual(new Set(parameters.keys()));
    for (const [key, value] of trained) {
      const largest = toFloat32(value).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(parameters.get(key) ?? [], key).toBeAllclose(value, { rtol: 0, atol: 2e-3 * largest });
    }
  });
});
