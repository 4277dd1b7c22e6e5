"""Writes a small random SanaTransformer2DModel, inputs for it, and what diffusers computes of them.

    python tools/interop/make_model.py OUT     (needs: torch diffusers safetensors)
"""

import math
import sys
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from safetensors.torch import save_file

out = Path(sys.argv[1])
torch.manual_seed(0)
model = SanaTransformer2DModel(
    in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, num_layers=3,
    num_cross_attention_heads=2, cross_attention_head_dim=16, cross_attention_dim=32, caption_channels=24,
    sample_size=8, qk_norm="rms_norm_across_heads").eval()
for name, p in model.named_parameters():
    with torch.no_grad():
        if p.ndim > 1 and "scale_shift_table" not in name:
            p.normal_(0, 1 / math.sqrt(p[0].numel()))
        else:
            p.normal_(0 if name.endswith("bias") or "scale_shift_table" in name else 1, 0.1)
model.save_pretrained(out / "transformer")

inputs = dict(hidden_states=torch.randn(2, 8, 6, 8), encoder_hidden_states=torch.randn(2, 9, 24),
              timestep=torch.tensor([900.0, 120.0]),
              encoder_attention_mask=torch.tensor([[1.0] * 9, [1.0] * 5 + [0.0] * 4]))
with torch.no_grad():
    sample = model(**inputs, return_dict=False)[0]
save_file({**inputs, "sample": sample.contiguous()}, out / "inputs.safetensors")
