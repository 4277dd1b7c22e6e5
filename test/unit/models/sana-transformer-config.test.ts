import { describe, expect, it } from 'vitest';
import { hiddenWidth, parseSanaTransformerConfig, sanaModules } from '../../../src/models/sana-transformer-config.ts';

describe('parseSanaTransformerConfig', () => {
  it("has diffusers' defaults, which are Sana 1.6B", () => {
    const config = parseSanaTransformerConfig({ _class_name: 'SanaTransformer2DModel' }, 'config.json');
    expect(config).toMatchObject({ num_layers: 20, cross_attention_dim: 2240, qk_norm: null, timestep_scale: 1 });
    expect(hiddenWidth(config)).toBe(5600);
  });

  it.each([
    [{ num_layers: 0 }, /^config\.json is no config of .*: num_layers: /],
    [{ num_layers: '20', patch_size: 1.5 }, /num_layers: .*; patch_size: /],
    [{ qk_norm: 'rms_norm' }, /qk_norm: .*rms_norm_across_heads/],
    [{ interpolation_scale: 0 }, /interpolation_scale: /],
    [{ norm_eps: Number.NaN }, /norm_eps: /],
    [{ cross_attention_dim: 1152 }, /^config\.json: cross_attention_dim \(1152\) .* must both be .* \(2240\)\.$/],
    [{ num_cross_attention_heads: 16 }, /num_cross_attention_heads x cross_attention_head_dim \(1792\)/],
    [[], /is no config/],
    [null, /is no config/],
  ])('refuses %o in a sentence', (json, message) => {
    expect(() => parseSanaTransformerConfig(json, 'config.json')).toThrow(message);
  });
});

describe('sanaModules', () => {
  it('names every projection with its sizes, and no depthwise convolution', () => {
    const config = parseSanaTransformerConfig({ num_layers: 2, patch_size: 2, guidance_embeds: true }, 'config.json');
    const modules = sanaModules(config);
    expect(modules.size).toBe(1 + 4 + 1 + 2 + 2 * 10 + 1);
    expect([...modules.keys()].some((name) => name.includes('conv_depth'))).toBe(false);
    expect(modules.get('patch_embed.proj')).toEqual({ inFeatures: 32, outFeatures: 2240, bias: true, kernel: 2 });
    expect(modules.get('transformer_blocks.1.attn1.to_q')).toEqual({
      inFeatures: 2240,
      outFeatures: 2240,
      bias: false,
    });
    expect(modules.get('transformer_blocks.1.attn2.to_q')?.bias).toBe(true);
    expect(modules.get('transformer_blocks.0.ff.conv_inverted')?.outFeatures).toBe(11200);
    expect(modules.get('proj_out')?.outFeatures).toBe(128);
    expect(modules.has('time_embed.guidance_embedder.linear_1')).toBe(true);
  });
});
