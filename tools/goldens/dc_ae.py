"""Writes test/unit/models/goldens/dc-ae-*.safetensors: what diffusers' AutoencoderDC computes for settings that the
reference cases do not have, with the weights. The config is in the metadata.

    python tools/goldens/dc_ae.py     (needs: torch diffusers safetensors)
"""

import json
import math
from pathlib import Path

import torch
from diffusers import AutoencoderDC
from safetensors.torch import save_file

FOLDER = Path(__file__).parents[2] / "test/unit/models/goldens"
BLOCKS = ("ResBlock", "EfficientViTBlock")

CASES = {
    # Tiles of 16 pixels every 12: 4 x 3 tiles, the last ones smaller.
    "tiled": (
        dict(latent_channels=4, attention_head_dim=4, encoder_block_types=BLOCKS, decoder_block_types=BLOCKS,
             encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), encoder_layers_per_block=(1, 1),
             decoder_layers_per_block=(1, 1), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
             upsample_block_type="interpolate", downsample_block_type="Conv", scaling_factor=0.5),
        dict(tile_sample_min_height=16, tile_sample_min_width=16, tile_sample_stride_height=12, tile_sample_stride_width=12),
        [(1, 38, 34), (2, 16, 20), (2, 16, 16)]),
    # Batch norm and every activation; a first stage without layers; no shortcuts at the latents; two further scales.
    "norms": (
        dict(latent_channels=6, attention_head_dim=3, encoder_block_types="ResBlock",
             decoder_block_types=("ResBlock", "EfficientViTBlock", "ResBlock", "ResBlock", "ResBlock"),
             encoder_block_out_channels=(4, 4, 8, 8, 8), decoder_block_out_channels=(4, 8, 8, 4, 8),
             encoder_layers_per_block=(0, 1, 1, 1, 1), decoder_layers_per_block=(0, 1, 1, 2, 1),
             encoder_qkv_multiscales=((),) * 5, decoder_qkv_multiscales=((), (3, 5), (), (), ()),
             decoder_norm_types=("rms_norm", "batch_norm", "batch_norm", "rms_norm", "batch_norm"),
             decoder_act_fns=("silu", "relu", "Mish", "gelu", None), decoder_conv_act_fn="swish",
             encoder_out_shortcut=False, decoder_in_shortcut=False),
        None, [(2, 32, 64)]),
    # Every ratio that a shortcut averages over (1, 2, 4, 8) and repeats, with both ways to change the size.
    "ratios": (
        dict(in_channels=4, latent_channels=2, attention_head_dim=8, encoder_block_types="ResBlock",
             encoder_block_out_channels=(2, 8, 16, 16, 8), decoder_block_out_channels=(4, 2, 8, 16, 16),
             encoder_layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5, encoder_qkv_multiscales=((),) * 5,
             decoder_qkv_multiscales=((),) * 5, upsample_block_type="interpolate", downsample_block_type="pixel_unshuffle"),
        None, [(1, 32, 16)]),
}


def make(name, config, tiling, sizes):
    torch.manual_seed(0)
    vae = AutoencoderDC(**config).eval()
    for key, p in [*vae.named_parameters(), *vae.named_buffers()]:
        if key.endswith("num_batches_tracked"):
            continue
        with torch.no_grad():
            if p.ndim > 1:
                p.normal_(0, 1 / math.sqrt(p[0].numel()))
            elif key.endswith("running_var"):
                p.uniform_(0.5, 2)
            else:
                p.normal_(1 if key.endswith("weight") else 0, 0.2)
    tensors = {f"weights.{key}": value.contiguous() for key, value in vae.state_dict().items()}
    if tiling:
        vae.enable_tiling(**tiling)
    for i, (batch, h, w) in enumerate(sizes):
        images = torch.rand(batch, vae.config.in_channels, h, w) * 2 - 1
        with torch.no_grad():
            latents = vae.encode(images, return_dict=False)[0]
            decoded = vae.decode(latents, return_dict=False)[0]
        tensors |= {f"{i}.images": images, f"{i}.latents": latents.contiguous(), f"{i}.decoded": decoded.contiguous()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(tensors, FOLDER / f"dc-ae-{name}.safetensors", dict(config=json.dumps(dict(vae.config))))


if __name__ == "__main__":
    for name, case in CASES.items():
        make(name, *case)
