"""Applies each ComfyUI file by an independent reading of ComfyUI's rule and compares the transformer's output.

    python tools/interop/check_comfyui.py OUT     (needs: torch diffusers)

ComfyUI is not on PyPI, so this is not its own code. What is read here (comfy/lora.py, comfy/weight_adapter/lora.py and
base.py): the model's parameter is `diffusion_model.X.weight`; a file's X.lora_A/lora_B.weight are added as
W + (alpha / rank of A) B A, alpha absent being scale 1; with X.dora_scale of shape [out, 1] the sum is then scaled by
rows to those lengths. A key that is not read here fails the check. The model is diffusers', its parameters renamed and
stacked as NVlabs' checkpoints have them.
"""

import sys
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from safetensors.torch import load_file

TOLERANCE = 1e-3

OUTSIDE = {
    "x_embedder.proj": "patch_embed.proj",
    "t_embedder.mlp.0": "time_embed.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_embed.emb.timestep_embedder.linear_2",
    "t_block.1": "time_embed.linear",
    "y_embedder.y_proj.fc1": "caption_projection.linear_1",
    "y_embedder.y_proj.fc2": "caption_projection.linear_2",
    "final_layer.linear": "proj_out",
}
BLOCK = {
    "attn.qkv": ["attn1.to_q", "attn1.to_k", "attn1.to_v"],
    "attn.proj": ["attn1.to_out.0"],
    "cross_attn.q_linear": ["attn2.to_q"],
    "cross_attn.kv_linear": ["attn2.to_k", "attn2.to_v"],
    "cross_attn.proj": ["attn2.to_out.0"],
    "mlp.inverted_conv.conv": ["ff.conv_inverted"],
    "mlp.point_conv.conv": ["ff.conv_point"],
}


def native_parts(layers):
    """NVlabs' name of each weight, and the weights of diffusers' model that are stacked in it."""
    parts = {native: [name] for native, name in OUTSIDE.items()}
    for layer in range(layers):
        for native, names in BLOCK.items():
            parts[f"blocks.{layer}.{native}"] = [f"transformer_blocks.{layer}.{name}" for name in names]
    return parts


def patch(weight, group):
    up, down = group.pop("lora_B.weight").float(), group.pop("lora_A.weight").float()
    alpha = group.pop("alpha").item() if "alpha" in group else down.shape[0]
    dora = group.pop("dora_scale", None)
    assert not group, f"unread: {sorted(group)}"
    total = weight + alpha / down.shape[0] * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    if dora is not None:
        assert dora.shape[0] == weight.shape[0] and dora.numel() == weight.shape[0]
        norm = total.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
        total = total * dora.float().reshape(norm.shape) / norm
    return total


out = Path(sys.argv[1])
inputs = load_file(out / "inputs.safetensors")
base = inputs.pop("sample")
expected = load_file(out / "expected.safetensors")
plain = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
parts = native_parts(len(plain.transformer_blocks))
failed, largest = 0, 0.0
print("ComfyUI's rule, read independently")
for file in sorted((out / "comfyui").glob("*.safetensors")):
    state = {name: value.clone() for name, value in plain.state_dict().items()}
    groups = {}
    for key, value in load_file(file).items():
        assert key.startswith("diffusion_model."), key
        name = next(n for n in parts if key.startswith(f"diffusion_model.{n}."))
        groups.setdefault(name, {})[key[len(f"diffusion_model.{name}."):]] = value
    for name, group in groups.items():
        keys = [f"{part}.weight" for part in parts[name]]
        merged = patch(torch.cat([state[key] for key in keys]), group)
        for key, piece in zip(keys, merged.chunk(len(keys))):
            state[key] = piece
    model = SanaTransformer2DModel.from_config(plain.config).eval()
    model.load_state_dict(state)
    with torch.no_grad():
        got = model(**inputs, return_dict=False)[0]
    want = expected[file.stem]
    scale = want.abs().max()
    error = ((got - want).abs().max() / scale).item()
    effect = ((want - base).abs().max() / scale).item()
    ok = error <= TOLERANCE and effect > 0.01
    failed += not ok
    largest = max(largest, error)
    print(f"  {file.stem:40} error {error:.1e}  effect {effect:.2f}  {'pass' if ok else 'FAIL'}")
print(f"{failed} failed, largest error {largest:.1e} of the largest value")
sys.exit(failed > 0)
