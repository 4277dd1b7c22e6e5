import { describe, expect, it } from 'vitest';
import { parseDcAeConfig } from '../../../src/models/dc-ae-config.ts';

describe('parseDcAeConfig', () => {
  it("takes diffusers' defaults where fields are absent", () => {
    const config = parseDcAeConfig({ _class_name: 'AutoencoderDC' }, 'config.json');
    expect(config).toMatchObject({
      latentChannels: 32,
      scalingFactor: 1,
      spatialCompression: 32,
      downsample: 'pixel_unshuffle',
    });
    expect(config.encoder[3]).toEqual({
      block: 'ResBlock',
      channels: 512,
      layers: 3,
      multiscales: [5],
      norm: 'rms_norm',
      activation: 'silu',
    });
  });

  it('takes one setting for all stages or one for each', () => {
    const stages = { encoder_block_out_channels: [8, 16], decoder_block_out_channels: [8, 16] };
    const rest = {
      encoder_layers_per_block: [0, 1],
      decoder_layers_per_block: [1, 1],
      encoder_qkv_multiscales: [[], []],
      decoder_qkv_multiscales: [[], [3]],
    };
    const config = parseDcAeConfig(
      {
        ...stages,
        ...rest,
        latent_channels: 4,
        attention_head_dim: 8,
        decoder_block_types: ['ResBlock', 'EfficientViTBlock'],
        decoder_act_fns: ['ReLU', null],
        decoder_norm_types: 'batch_norm',
        downsample_block_type: 'conv',
      },
      'config.json',
    );
    expect(config.decoder).toEqual([
      { block: 'ResBlock', channels: 8, layers: 1, multiscales: [], norm: 'batch_norm', activation: 'relu' },
      { block: 'EfficientViTBlock', channels: 16, layers: 1, multiscales: [3], norm: 'batch_norm', activation: null },
    ]);
    expect(config.encoder.map(({ layers, norm }) => [layers, norm])).toEqual([
      [0, 'rms_norm'],
      [1, 'rms_norm'],
    ]);
  });

  it.each([
    [{ latent_channels: 0 }, 'latent_channels: '],
    [
      { decoder_norm_types: 'layer_norm' },
      'decoder_norm_types: expected rms_norm or batch_norm, or a list with one for each stage',
    ],
    [{ decoder_act_fns: 'relu6' }, 'decoder_act_fns: expected silu, swish'],
    [
      { encoder_qkv_multiscales: [[], [], [], [4], [], []] },
      'encoder_qkv_multiscales.3.0: expected an odd kernel size',
    ],
    [{ encoder_layers_per_block: [2, 2] }, 'encoder_layers_per_block: 2 entries, expected 6'],
    [{ decoder_layers_per_block: [3, 3, 0, 3, 3, 3] }, '0 is possible for the first of several stages alone'],
    [{ encoder_block_out_channels: [128, 256, 512, 512, 1024, 1000] }, 'shortcut between them needs'],
    [{ latent_channels: 33 }, '1024 is no multiple of latent_channels 33'],
    [{ use_quant_conv: true }, 'use_quant_conv'],
  ])('refuses %j', (change, message) => {
    expect(() => parseDcAeConfig(change, 'vae/config.json')).toThrow(
      /^vae\/config\.json is no config of an AutoencoderDC .*\.$/,
    );
    expect(() => parseDcAeConfig(change, 'vae/config.json')).toThrow(message);
  });
});
