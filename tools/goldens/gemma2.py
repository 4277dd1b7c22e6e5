#!/usr/bin/env python3
"""Writes test/unit/models/goldens/gemma2-*: two tiny text encoders and what transformers computes with them.

fp32: as transformers 5 saves a Gemma2Model. bf16: as transformers 4 saved a Gemma2ForCausalLM, in two shards, with the
options that Gemma-2 itself leaves alone: biases, no soft-capping, another rotary base.

    pip install torch transformers safetensors
    python tools/goldens/gemma2.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Gemma2Config, Gemma2Model

OUT = Path(__file__).resolve().parents[2] / "test/unit/models/goldens"
SIZES = dict(vocab_size=24, hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, head_dim=6, sliding_window=4, max_position_embeddings=64)
TOKENS = [2, 7, 7, 19, 3, 11, 23, 5, 7, 14]  # longer than the sliding window


def write(name: str, dtype: torch.dtype, **options) -> tuple[Path, dict]:
    torch.manual_seed(0)
    model = Gemma2Model(Gemma2Config(**SIZES, **options, attn_implementation="eager")).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p).mul(0.4).to(dtype))
        # The factor sqrt(12) of the embeddings is rounded to the dtype of the weights; all else is computed in float32.
        scale = model.embed_tokens.embed_scale
        scale.copy_(scale.to(dtype))
        expected = model(torch.tensor([TOKENS])).last_hidden_state[0]
    folder = OUT / name
    weights = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"tokens": torch.tensor(TOKENS), "expected": expected.contiguous()}, folder / "expected.safetensors")
    model.config.architectures = ["Gemma2Model"]
    model.config.save_pretrained(folder)
    return folder, weights


folder, weights = write("gemma2-fp32", torch.float32, query_pre_attn_scalar=5)
save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

folder, weights = write("gemma2-bf16", torch.bfloat16, attention_bias=True, attn_logit_softcapping=None,
                        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, query_pre_attn_scalar=6)
config = json.loads((folder / "config.json").read_text())
for key in ("rope_parameters", "layer_types", "use_bidirectional_attention", "dtype"):
    config.pop(key, None)
config |= {"architectures": ["Gemma2ForCausalLM"], "hidden_act": "gelu_pytorch_tanh", "rope_theta": 500.0,
           "torch_dtype": "bfloat16", "transformers_version": "4.46.0"}
(folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
shards = [{}, {}]
for i, (key, value) in enumerate(sorted(weights.items())):
    shards[i % 2]["model." + key] = value
names = [f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
for name, shard in zip(names, shards):
    save_file(shard, folder / name, metadata={"format": "pt"})
index = {key: name for name, shard in zip(names, shards) for key in shard}
(folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1) + "\n")
