import { describe, expect, it } from 'vitest';
import {
  adaptedModules,
  type AdapterConfig,
  adapterScale,
  parameterName,
  parameterShapes,
} from '../../../src/lora/adapter-config.ts';
import { parseSanaTransformerConfig, sanaModules } from '../../../src/models/sana-transformer-config.ts';

const modules = sanaModules(parseSanaTransformerConfig({ num_layers: 2 }, 'config.json'));
const config: AdapterConfig = {
  type: 'lora',
  rank: 16,
  alpha: 8,
  rankPattern: {},
  alphaPattern: {},
  targetModules: ['to_q'],
  rslora: false,
  dropout: 0,
};

describe('adapterScale', () => {
  it('is alpha / rank, and alpha / sqrt(rank) for rsLoRA', () => {
    expect([adapterScale(8, 16, false), adapterScale(8, 16, true)]).toEqual([0.5, 2]);
  });
});

describe('adaptedModules', () => {
  it('adapts the modules whose names end in a target, first layer to last', () => {
    expect([...adaptedModules(modules, { ...config, targetModules: ['attn2.to_k', 'conv_point'] }).keys()]).toEqual([
      'transformer_blocks.0.attn2.to_k',
      'transformer_blocks.0.ff.conv_point',
      'transformer_blocks.1.attn2.to_k',
      'transformer_blocks.1.ff.conv_point',
    ]);
    expect(adaptedModules(modules, config).get('transformer_blocks.1.attn1.to_q')).toEqual({
      inFeatures: 2240,
      outFeatures: 2240,
      bias: false,
      rank: 16,
      alpha: 8,
      scale: 0.5,
      dora: false,
      dropout: 0,
    });
  });

  it("takes ranks and alphas of the patterns' first match", () => {
    const adapted = adaptedModules(modules, {
      ...config,
      type: 'dora',
      rslora: true,
      rankPattern: { 'attn2.to_q': 4, '.*1\\.attn.*': 9, to_q: 2 },
      alphaPattern: { 'transformer_blocks.0.attn1.to_q': 1 },
    });
    const rows = [...adapted].map(([name, { rank, alpha, scale, dora }]) => [name.slice(19), rank, alpha, scale, dora]);
    expect(rows).toEqual([
      ['0.attn1.to_q', 2, 1, 1 / Math.sqrt(2), true],
      ['0.attn2.to_q', 4, 8, 4, true],
      ['1.attn1.to_q', 9, 8, 8 / 3, true],
      ['1.attn2.to_q', 4, 8, 4, true],
    ]);
  });

  it.each<[Partial<AdapterConfig>, string]>([
    [
      { targetModules: ['to_q', 'conv_depth', 'attn3'] },
      'lora.target_modules has conv_depth, attn3, which no adapter can change; use some of to_q, to_k, to_v, to_out.0, conv_inverted, conv_point.',
    ],
    [{ targetModules: [] }, 'lora.target_modules is empty; use some of to_q'],
    [{ rank: 0 }, 'The rank of transformer_blocks.0.attn1.to_q is 0; use a whole number from 1 (4 to 64 are usual).'],
    [{ rankPattern: { 'attn2.to_q': 1.5 } }, 'The rank of transformer_blocks.0.attn2.to_q is 1.5; '],
    [{ alpha: Number.NaN }, 'The alpha of transformer_blocks.0.attn1.to_q is NaN; '],
    [
      { rankPattern: { to_k: 4 } },
      'lora.rank_pattern has to_k, which matches no layer that lora.target_modules adapts',
    ],
    [{ alphaPattern: { 'attn3.to_q': 4 } }, 'lora.alpha_pattern has attn3.to_q, which matches no layer'],
    [{ alphaPattern: { 'to_q(': 4 } }, 'lora.alpha_pattern has the key "to_q("'],
  ])('refuses %o in a sentence', (change, message) => {
    expect(() => adaptedModules(modules, { ...config, ...change })).toThrow(message);
  });
});

describe('parameterShapes', () => {
  it("has diffusers' names and axes", () => {
    const [name] = [parameterName('ff.conv_point', 'lora_magnitude_vector')];
    expect(name).toBe('transformer.ff.conv_point.lora_magnitude_vector');
    const module = { inFeatures: 6, outFeatures: 4, bias: true, rank: 2, alpha: 2, scale: 1, dora: true, dropout: 0 };
    expect([...parameterShapes('m', { ...module, kernel: 2 })]).toEqual([
      ['transformer.m.lora_A.weight', [2, 6, 2, 2]],
      ['transformer.m.lora_B.weight', [4, 2, 1, 1]],
      ['transformer.m.lora_magnitude_vector', [1, 4, 1, 1]],
    ]);
    expect([...parameterShapes('m', module).values()]).toEqual([[2, 6], [4, 2], [4]]);
  });
});
