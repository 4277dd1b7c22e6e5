import { describe, expect, it } from 'vitest';
import { float32, fromFloat32 } from '../../../src/graph/tensor.ts';
import { conditionFeeds, stackTensors, trimText } from '../../../src/models/sana-feeds.ts';
import { parseSanaTransformerConfig } from '../../../src/models/sana-transformer-config.ts';

const embeds = float32([2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

describe('trimText', () => {
  it('cuts the rows that no sample keeps', () => {
    const trimmed = trimText(embeds, float32([2, 3], [1, 0, 0, 0, 1, 0]));
    expect(trimmed.promptEmbeds).toBeAllclose(float32([2, 2, 2], [1, 2, 3, 4, 7, 8, 9, 10]));
    expect(trimmed.mask).toBeAllclose(float32([2, 2], [1, 0, 0, 1]));
  });

  it('cuts nothing without a mask, with a full one, and where a sample keeps no row', () => {
    expect(trimText(embeds).mask).toBeAllclose(float32([2, 3], [1, 1, 1, 1, 1, 1]));
    expect(trimText(embeds, float32([2, 3], [1, 0, 0, 0, 1, 1])).promptEmbeds).toBeAllclose(embeds);
    expect(trimText(embeds, float32([2, 3], [1, 0, 0, 0, 0, 0])).promptEmbeds).toBeAllclose(embeds);
  });

  it('reads embeddings in 16 bits', () => {
    const half = fromFloat32('bfloat16', embeds.shape, embeds.data);
    expect(trimText(half, float32([2, 3], [1, 0, 0, 1, 0, 0])).promptEmbeds).toBeAllclose(
      float32([2, 1, 2], [1, 2, 7, 8]),
    );
  });
});

describe('conditionFeeds', () => {
  const config = parseSanaTransformerConfig({ guidance_embeds: true }, 'config.json');

  it('says how many texts, timesteps and guidance scales it needs', () => {
    const promptEmbeds = embeds;
    expect(() => conditionFeeds(config, [1, 32, 2, 2], { promptEmbeds, timesteps: [1] })).toThrow(
      'transformer: 1 latents, 2 texts and 1 timesteps; as many of each expected',
    );
    expect(() => conditionFeeds(config, [2, 32, 2, 2], { promptEmbeds, timesteps: [1] })).toThrow('and 1 timesteps');
    expect(() => conditionFeeds(config, [2, 32, 2, 2], { promptEmbeds, timesteps: [1, 2] })).toThrow(
      'needs a guidance scale for each of 2 latents',
    );
  });
});

describe('stackTensors', () => {
  it('joins samples into a batch', () => {
    expect(stackTensors([float32([1, 2], [1, 2]), fromFloat32('float16', [1, 2], Float32Array.of(3, 4))])).toBeAllclose(
      float32([2, 2], [1, 2, 3, 4]),
    );
  });
});
