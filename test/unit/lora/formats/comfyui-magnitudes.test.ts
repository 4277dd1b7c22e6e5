import { describe, expect, it } from 'vitest';

import { packMagnitudes, unpackMagnitudes } from '../../../../src/lora/formats/comfyui-magnitudes.ts';

describe('unpackMagnitudes', () => {
  it('gives back what was packed, to the bit', () => {
    const magnitudes = new Map([['diffusion_model.blocks.0.attn.qkv', Float32Array.of(1, -0.1, 3e-42, 65504)]]);
    expect(unpackMagnitudes('a.safetensors', packMagnitudes(magnitudes))).toEqual(magnitudes);
  });

  it.each(['', '{', '[]', '{"a": 1}', 'null'])('refuses %j with a sentence', (text) => {
    expect(() => unpackMagnitudes('a.safetensors', text)).toThrow(/a\.safetensors: .*export the adapter again/);
  });

  it('refuses magnitudes that are not finite', () => {
    const text = packMagnitudes(new Map([['diffusion_model.a', Float32Array.of(1, Number.NaN)]]));
    expect(() => unpackMagnitudes('a.safetensors', text)).toThrow(/"diffusion_model\.a" that are no numbers/);
  });
});
