import { afterAll, describe, expect, it } from 'vitest';

import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { compareForward } from '../../../src/export/compare-forward.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../../../src/graph/tensor.ts';
import type { Adapter } from '../../../src/lora/adapter-file.ts';
import { createAdapter } from '../../../src/lora/create-adapter.ts';
import { createPredictor } from '../../../src/models/predict-velocity.ts';
import { createRandom } from '../../../src/random.ts';
import { asTrained, smallAdapter, smallTransformer } from '../../small-transformer.ts';

const engine = createOnnxruntimeEngine();
afterAll(() => engine.close());

describe('compareForward', () => {
  it.each(['plain', 'affine'] as const)(
    'computes block by block what the whole transformer computes: %s',
    async (variant) => {
      const model = await smallTransformer(variant);
      const modules = smallAdapter(model, { type: 'dora' });
      const tensors = asTrained(await createAdapter(modules, model.weights, createRandom(1)), createRandom(2));
      const { in_channels: channels, patch_size: patch, caption_channels: width } = model.config;
      const random = createRandom('compare');
      const draw = (...shape: number[]): Tensor => float32(shape, random.normals(elementCount(shape)));
      const [latents, promptEmbeds] = [draw(1, channels, 4 * patch, 4 * patch), draw(1, 6, width)];
      const predict = async (adapters: readonly Adapter[]): Promise<Float32Array> => {
        const predictor = await createPredictor(
          engine,
          model,
          adapters.map((one) => one.modules),
        );
        const conditions = { promptEmbeds, timesteps: [500] };
        const result = await predictor.predict(
          latents,
          conditions,
          adapters.map((one) => one.tensors),
        );
        await predictor.dispose();
        return toFloat32(result);
      };
      const [plain, adapted] = [await predict([]), await predict([{ modules, tensors }])];
      const size = (values: Float32Array): number => Math.hypot(...values);
      const expected = size(plain.map((x, i) => x - (adapted[i] ?? 0))) / size(plain);
      expect(expected).toBeGreaterThan(0.01);
      expect(await compareForward(engine, { model }, { model, adapter: { modules, tensors } })).toBeCloseTo(
        expected,
        4,
      );
      expect(await compareForward(engine, { model }, { model })).toBe(0);
    },
  );
});
