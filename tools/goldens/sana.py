"""Writes test/unit/models/goldens/sana-*.safetensors: what diffusers' SanaTransformer2DModel computes for settings that
the reference cases do not have, with the weights; and sana-positions.json: its fixed positions. The config is in the
metadata.

    python tools/goldens/sana.py     (needs: torch diffusers safetensors)
"""

import json
import math
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from diffusers.models.embeddings import get_2d_sincos_pos_embed
from safetensors.torch import save_file

FOLDER = Path(__file__).parents[2] / "test/unit/models/goldens"
SMALL = dict(in_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1, num_cross_attention_heads=4,
             cross_attention_head_dim=4, cross_attention_dim=16, caption_channels=6)

CASES = {
    # Fixed positions as the 4K models have, patches, and twice as many channels out as in.
    "positions": (dict(out_channels=8, sample_size=16, patch_size=2, interpolation_scale=2.0, norm_eps=1e-5), (2, 8, 12)),
    # Everything at once that Sana-Sprint and Sana 1.5 have one by one, and no out_channels.
    "guided": (dict(out_channels=None, sample_size=8, interpolation_scale=1.0, guidance_embeds=True, attention_bias=True,
                    qk_norm="rms_norm_across_heads", norm_elementwise_affine=True, mlp_ratio=2.3), (1, 5, 7)),
}

for name, (config, (batch, height, width)) in CASES.items():
    torch.manual_seed(0)
    model = SanaTransformer2DModel(**SMALL, **config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.ndim > 1 and "scale_shift_table" not in key:
                p.normal_(0, 1 / math.sqrt(p[0].numel()))
            else:
                p.normal_(0 if key.endswith("bias") or "scale_shift_table" in key else 1, 0.2)
    inputs = dict(hidden_states=torch.randn(batch, 4, height, width), encoder_hidden_states=torch.randn(batch, 5, 6),
                  timestep=torch.tensor([750.0, 3.5][:batch]),
                  encoder_attention_mask=torch.tensor([[1.0, 1, 1, 0, 0], [1, 0, 1, 1, 0]])[:batch])
    if config.get("guidance_embeds"):
        inputs["guidance"] = torch.full((batch,), 0.45)
    with torch.no_grad():
        sample = model(**inputs, return_dict=False)[0]
        # A sample whose mask keeps nothing attends to every row alike.
        empty = model(**{**inputs, "encoder_attention_mask": torch.zeros(batch, 5)}, return_dict=False)[0]
    tensors = {**{f"weights.{k}": v for k, v in model.state_dict().items()}, **inputs, "sample": sample, "empty": empty}
    save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / f"sana-{name}.safetensors",
              metadata={"config": json.dumps({k: v for k, v in model.config.items() if k[0] != "_"}, sort_keys=True)})

positions = []
for channels, height, width, base, scale in [(8, 2, 3, 2, 1.0), (16, 3, 2, 16, 2.0), (12, 1, 4, 3, 0.5)]:
    embedding = get_2d_sincos_pos_embed(channels, (height, width), base_size=base, interpolation_scale=scale,
                                        output_type="pt")
    positions.append(dict(channels=channels, height=height, width=width, baseSize=base, interpolationScale=scale,
                          expected=embedding.float().flatten().tolist()))
(FOLDER / "sana-positions.json").write_text(json.dumps(positions) + "\n")
