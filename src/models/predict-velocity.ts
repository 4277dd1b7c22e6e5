import type { Engine } from '../engine/engine.ts';
import { createGraph } from '../graph/graph.ts';
import { float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { graphAdapter } from '../lora/adapt.ts';
import type { AdaptedModules } from '../lora/adapter-config.ts';
import { type SanaTransformer, sanaInputs } from './load-sana-transformer.ts';
import type { Adapt } from './projection.ts';
import { quantizedProducts } from './quantized-products.ts';
import { conditionFeeds, type SanaConditions } from './sana-feeds.ts';
import { sanaTransformer } from './sana-transformer.ts';
import { weightReader } from './weights.ts';

/** The tensors of one adapter by their names in the file. */
export type AdapterTensors = ReadonlyMap<string, Tensor>;

/** The transformer, ready to predict. */
export interface Predictor {
  /**
   * The velocity e - x0 that the model predicts for noisy latents.
   * @param hiddenStates [B, C, H, W]
   * @param adapters tensors of each adapter that the predictor was compiled with
   * @returns [B, C, H, W]
   */
  predict(hiddenStates: Tensor, conditions: SanaConditions, adapters?: readonly AdapterTensors[]): Promise<Tensor>;
  dispose(): Promise<void>;
}

/** Compiles the transformer with any number of adapters, whose tensors each prediction is given. */
export async function createPredictor(
  engine: Engine,
  model: SanaTransformer,
  adapters: readonly AdaptedModules[] = [],
): Promise<Predictor> {
  const parts = adapters.map((modules, i) => graphAdapter(modules, { prefix: `adapter${i}.` }));
  const adapt: Adapt = (projection) => parts.reduce((y, part) => part.adapt({ ...projection, y }), projection.y);
  const { config, weights } = model;
  const inputs = sanaInputs(config);
  const { sample } = sanaTransformer(config, weightReader(weights), inputs, adapt, quantizedProducts(weights));
  const executable = await engine.compile(createGraph({ sample }), weights);
  return {
    async predict(hiddenStates, conditions, tensors = []) {
      const feeds: Record<string, Tensor> = {
        hidden_states: float32(hiddenStates.shape, toFloat32(hiddenStates)),
        ...conditionFeeds(model.config, hiddenStates.shape, conditions),
      };
      for (const [i, { parameters }] of parts.entries()) {
        for (const name of parameters.keys()) {
          const given = tensors[i]?.get(name);
          if (!given) throw new RangeError(`predict: adapter ${i} has no ${name}`);
          feeds[`adapter${i}.${name}`] = float32(given.shape, toFloat32(given));
        }
      }
      const { sample: result } = await executable.run(feeds);
      if (!result) throw new RangeError('predict: the engine gave no sample');
      return result;
    },
    dispose: () => executable.dispose(),
  };
}
