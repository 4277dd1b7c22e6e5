import type { Engine } from '../engine/engine.ts';
import { createGraph } from '../graph/graph.ts';
import { replaceValues } from '../graph/replace-values.ts';
import { elementCount, float32, type Tensor, toFloat32 } from '../graph/tensor.ts';
import { input, type Value } from '../graph/value.ts';
import { graphAdapter } from '../lora/adapt.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { type SanaTransformer, sanaInputs } from '../models/load-sana-transformer.ts';
import { conditionFeeds } from '../models/sana-feeds.ts';
import { sanaTransformer } from '../models/sana-transformer.ts';
import { weightReader } from '../models/weights.ts';
import { createRandom } from '../random.ts';

/** A transformer and the adapter on it, if any. */
export interface AdaptedTransformer {
  readonly model: SanaTransformer;
  readonly adapter?: Adapter;
}

/** Tokens of text that the forward pass has. */
const textTokens = 6;

/**
 * What a transformer predicts for small random latents and text, the same whenever it is asked. A block at a time is in
 * memory: each is a graph of its own, from the output of the one before.
 */
async function predict(engine: Engine, { model, adapter }: AdaptedTransformer): Promise<Float32Array> {
  const { config, weights } = model;
  const { in_channels: channels, patch_size: patch, caption_channels: width, guidance_embeds: isGuided } = config;
  const random = createRandom('compare');
  const draw = (...shape: number[]): Tensor => float32(shape, random.normals(elementCount(shape)));
  const latents = draw(1, channels, 4 * patch, 4 * patch);
  const conditions = {
    promptEmbeds: draw(1, textTokens, width),
    timesteps: [500],
    ...(isGuided && { guidance: [0.45] }),
  };
  const feeds: Record<string, Tensor> = {
    ...conditionFeeds(config, latents.shape, conditions),
    hidden_states: latents,
  };
  for (const [name, value] of adapter?.tensors ?? []) feeds[name] = float32(value.shape, toFloat32(value));

  // Of fixed sizes: a block alone does not say what its tokens are height and width of.
  const fixed = (value: Value): Value => {
    const { leaf } = value.node;
    const feed = leaf?.kind === 'input' ? feeds[leaf.name] : undefined;
    if (leaf?.kind !== 'input' || !feed) throw new RangeError('compareForward: an input is not fed');
    return input(leaf.name, feed.shape);
  };
  const symbolic = sanaInputs(config);
  const { sample, boundaries } = sanaTransformer(
    config,
    weightReader(weights),
    {
      hiddenStates: fixed(symbolic.hiddenStates),
      encoderHiddenStates: fixed(symbolic.encoderHiddenStates),
      timestepEmbedding: fixed(symbolic.timestepEmbedding),
      ...(symbolic.encoderAttentionBias && { encoderAttentionBias: fixed(symbolic.encoderAttentionBias) }),
      ...(symbolic.guidanceEmbedding && { guidanceEmbedding: fixed(symbolic.guidanceEmbedding) }),
      ...(symbolic.positions && { positions: fixed(symbolic.positions) }),
    },
    adapter && graphAdapter(adapter.modules).adapt,
  );
  let before: Value | undefined;
  for (const end of [...boundaries, sample]) {
    const start = before && input('block_input', before.shape);
    const graph = createGraph({ out: before && start ? replaceValues(end, new Map([[before, start]])) : end });
    const executable = await engine.compile(graph, weights);
    try {
      const given = [...graph.inputs.keys()].flatMap((name) => {
        const feed = feeds[name];
        return feed ? [[name, feed] as const] : [];
      });
      const { out } = await executable.run(Object.fromEntries(given));
      if (!out) throw new RangeError('compareForward: the engine gave no result');
      feeds.block_input = out;
    } finally {
      await executable.dispose();
    }
    before = end;
  }
  return feeds.block_input ? toFloat32(feeds.block_input) : new Float32Array();
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
