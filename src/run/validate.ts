import type { Sample } from '../../datasets/sample.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import { addNoise, flowTarget } from '../flow/objective.ts';
import { float32, toFloat32 } from '../graph/tensor.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { createPredictor } from '../models/predict-velocity.ts';
import type { Params } from '../optim/optimizer.ts';
import type { Random } from '../random.ts';
import { type BatchMaker, validationBatch } from './training-batches.ts';

/** What validation measures with. */
export interface Validation {
  readonly engine: Engine;
  readonly model: SanaTransformer;
  readonly modules: AdaptedModules;
  readonly samples: readonly Sample[];
  readonly maker: BatchMaker;
  /** Bands of noise level, each as wide. */
  readonly bins: number;
  readonly random: Random;
}

/** The loss on held-out pictures: in each band of noise level at its middle, with noise that is the same every time. */
export async function* validate(
  { engine, model, modules, samples, maker, bins, random }: Validation,
  step: number,
  parameters: Params,
): AsyncGenerator<TrainEvent> {
  const predictor = await createPredictor(engine, model, [modules]);
  try {
    const bands: { readonly from: number; readonly to: number; loss: number }[] = [];
    for (let bin = 0; bin < bins; bin++) {
      const [from, to] = [bin / bins, (bin + 1) / bins];
      let sum = 0;
      for (const sample of samples) {
        const batch = await validationBatch(sample, (from + to) / 2, maker, random);
        sum += await lossOf(batch.sigmas[0] ?? 0, batch);
      }
      bands.push({ from, to, loss: sum / samples.length });
    }
    yield { kind: 'validation', step, loss: bands.reduce((sum, { loss }) => sum + loss, 0) / bins, bins: bands };
  } finally {
    await predictor.dispose();
  }

  async function lossOf(sigma: number, batch: Awaited<ReturnType<typeof validationBatch>>): Promise<number> {
    const [latents, noise] = [toFloat32(batch.latents), toFloat32(batch.noise)];
    const noisy = addNoise(latents, noise, [sigma], batch.latents.shape);
    const target = flowTarget(latents, noise);
    const conditions = {
      promptEmbeds: batch.promptEmbeds,
      ...(batch.promptAttentionMask && { promptAttentionMask: batch.promptAttentionMask }),
      timesteps: [1000 * sigma],
    };
    const velocity = toFloat32(await predictor.predict(float32(batch.latents.shape, noisy), conditions, [parameters]));
    let sum = 0;
    for (let i = 0; i < velocity.length; i++) sum += ((velocity[i] ?? 0) - (target[i] ?? 0)) ** 2;
    return sum / velocity.length;
  }
}
