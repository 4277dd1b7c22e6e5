import { elementCount, float32, type Tensor } from '../src/graph/tensor.ts';
import { gemma2LayerTensors, parseGemma2Config } from '../src/models/gemma2-config.ts';
import { checkGemma2, type Gemma2 } from '../src/models/gemma2.ts';
import { createRandom } from '../src/random.ts';

/** Gemma-2 of two layers and 24 tokens with random weights, all of its matrices of so many inputs and outputs. */
export function randomGemma2(width: number): Gemma2 {
  const config = parseGemma2Config(
    {
      model_type: 'gemma2',
      vocab_size: 24,
      hidden_size: width,
      intermediate_size: width,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 4,
      head_dim: width / 4,
      query_pre_attn_scalar: width / 4,
    },
    'config.json',
  );
  const weights = new Map<string, Tensor>();
  const add = (name: string, shape: readonly number[]): void => {
    const fanIn = shape.length > 1 ? width : 100;
    const values = createRandom(name).normals(elementCount(shape));
    weights.set(
      name,
      float32(
        shape,
        values.map((value) => value / Math.sqrt(fanIn)),
      ),
    );
  };
  add('embed_tokens.weight', [config.vocab_size, width]);
  add('norm.weight', [width]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [name, shape] of gemma2LayerTensors(config)) add(`layers.${layer}.${name}`, shape);
  }
  return checkGemma2(config, weights);
}
