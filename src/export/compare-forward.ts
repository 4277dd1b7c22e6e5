import type { Engine } from '../engine/engine.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import type { SanaTransformer } from '../models/load-sana-transformer.ts';
import { createPredictor } from '../models/predict-velocity.ts';
import { createRandom } from '../random.ts';

/** A transformer and the adapter on it, if any. */
export interface AdaptedTransformer {
  readonly model: SanaTransformer;
  readonly adapter?: Adapter;
}

/** What a transformer predicts for small random latents and text, the same whenever it is asked. */
async function predict(engine: Engine, { model, adapter }: AdaptedTransformer): Promise<Float32Array> {
  const { in_channels: channels, patch_size: patch, caption_channels: width, guidance_embeds: isGuided } = model.config;
  const random = createRandom('compare');
  const draw = (...shape: number[]): Tensor => float32(shape, random.normals(elementCount(shape)));
  const predictor = await createPredictor(engine, model, adapter ? [adapter.modules] : []);
  try {
    const latents = draw(1, channels, 4 * patch, 4 * patch);
    const conditions = { promptEmbeds: draw(1, 6, width), timesteps: [500], ...(isGuided && { guidance: [0.45] }) };
    return toFloat32(await predictor.predict(latents, conditions, adapter ? [adapter.tensors] : []));
  } finally {
    await predictor.dispose();
  }
}

/** ||f - g|| / ||f|| of what two transformers predict for the same random latents and text. */
export async function compareForward(
  engine: Engine,
  expected: AdaptedTransformer,
  actual: AdaptedTransformer,
): Promise<number> {
  const [f, g] = [await predict(engine, expected), await predict(engine, actual)];
  let [size, difference] = [0, 0];
  for (const [i, value] of f.entries()) {
    size += value * value;
    difference += (value - (g[i] ?? Number.NaN)) ** 2;
  }
  return Math.sqrt(difference / size);
}
