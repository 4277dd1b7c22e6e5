"""Applies each file for ComfyUI to the model's weights as ComfyUI does, and compares the transformer's output.

    python tools/interop/check_comfyui.py OUT     (needs: torch diffusers)

With COMFYUI=FOLDER, a checkout of https://github.com/comfyanonymous/ComfyUI (needs: einops psutil tqdm), its own
code does that: comfy.lora_convert, model_lora_keys_unet, load_lora and calculate_weight, and a key that it does not load
fails the check. ComfyUI is not on PyPI, so without a checkout an independent reading of its rule (comfy/lora.py,
comfy/weight_adapter/lora.py and base.py) stands in: the model's parameter is `diffusion_model.X.weight`; a file's
X.lora_A/lora_B.weight are added as W + (alpha / rank of A) B A, alpha absent being scale 1; with X.dora_scale of shape
[out, 1] the sum is then multiplied by rows by that and divided by the lengths of W's rows. A key that is not read here fails the check.

The model is diffusers', its parameters renamed and stacked as NVlabs' checkpoints have them.
"""

import logging
import os
import sys
import types
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
        norm = weight.flatten(1).norm(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
        total = total * dora.float().reshape(norm.shape) / norm
    return total


def by_rule(stacked, file):
    """The weights that a file changes, read independently of ComfyUI's code."""
    groups = {}
    for key, value in load_file(file).items():
        assert key.startswith("diffusion_model."), key
        name = next(n for n in stacked if key.startswith(f"diffusion_model.{n}."))
        groups.setdefault(name, {})[key[len(f"diffusion_model.{name}."):]] = value
    return {name: patch(stacked[name], group) for name, group in groups.items()}


def comfyui(folder):
    """by_rule's work, done by ComfyUI's own code."""
    sys.path.insert(0, folder)
    # Asked only what kind a model is, and Sana's is none of ComfyUI's own; it would import all that ComfyUI runs.
    kinds = types.ModuleType("comfy.model_base")

    def kind(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

    kinds.__getattr__ = kind
    sys.modules["comfy.model_base"] = kinds
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    comfy.model_base = kinds
    import comfy.lora
    import comfy.lora_convert

    class Refuse(logging.Handler):
        def emit(self, record):
            raise AssertionError(record.getMessage())

    # "lora key not loaded", "calculate weight failed" and the like are warnings there.
    logging.getLogger().addHandler(Refuse(logging.WARNING))

    def by_comfyui(stacked, file):
        state = {f"diffusion_model.{name}.weight": value for name, value in stacked.items()}
        model = types.SimpleNamespace(state_dict=lambda: state, model_config=types.SimpleNamespace(unet_config={}))
        keys = comfy.lora.model_lora_keys_unet(model, {})
        loaded = comfy.lora.load_lora(comfy.lora_convert.convert_lora(load_file(file)), keys)
        changed = {}
        for key, adapter in loaded.items():
            # As a model patcher has them: strength, patch, strength of the model, offset, function.
            weight = comfy.lora.calculate_weight([(1.0, adapter, 1.0, None, None)], state[key].clone(), key)
            changed[key[len("diffusion_model."):-len(".weight")]] = weight
        return changed

    version = types.ModuleType("version")
    exec((Path(folder) / "comfyui_version.py").read_text(), version.__dict__)
    return version.__version__, by_comfyui


out = Path(sys.argv[1])
inputs = load_file(out / "inputs.safetensors")
base = inputs.pop("sample")
expected = load_file(out / "expected.safetensors")
plain = SanaTransformer2DModel.from_pretrained(out / "transformer").eval()
parts = native_parts(len(plain.transformer_blocks))
failed, largest = 0, 0.0
if folder := os.environ.get("COMFYUI"):
    version, apply = comfyui(folder)
    print(f"ComfyUI {version}, its own code")
else:
    apply = by_rule
    print("ComfyUI's rule, read independently")
for file in sorted((out / "comfyui").glob("*.safetensors")):
    state = {name: value.clone() for name, value in plain.state_dict().items()}
    stacked = {name: torch.cat([state[f"{part}.weight"] for part in names]) for name, names in parts.items()}
    for name, merged in apply(stacked, file).items():
        for part, piece in zip(parts[name], merged.chunk(len(parts[name]))):
            state[f"{part}.weight"] = piece
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
