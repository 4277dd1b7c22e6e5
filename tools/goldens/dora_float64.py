"""Trains a reference case's adapter in float32 and in float64 and prints how far float32 ends from float64.

    python tools/goldens/dora_float64.py FOLDER [CASE]     (needs: torch diffusers peft safetensors)

FOLDER is what make_cases.py wrote; CASE is one of its lora_train cases, by default lora_attention_r4_a8_dora_train.
For each the norm of the gradient per step, and of every expected tensor the largest error in units of the case's
tolerance. --got FILE compares another file of the same tensors, such as this project's, with float64 too.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from diffusers.optimization import get_scheduler
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import load_file

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path)
parser.add_argument("case", nargs="?", default="lora_attention_r4_a8_dora_train")
parser.add_argument("--got", type=Path)
args = parser.parse_args()
torch.set_num_threads(1)
case = next(e for e in json.loads((args.folder / "cases.json").read_text()) if e["name"] == args.case)
p = case["params"]
inputs = load_file(args.folder / case["inputs"])
adapter = load_file(args.folder / p["adapter"])
with safe_open(args.folder / p["adapter"], "pt") as f:
    metadata = json.loads(f.metadata()["lora_adapter_metadata"])
lora = {k: metadata["transformer." + k] for k in ("r", "lora_alpha", "target_modules", "use_dora", "use_rslora")}
to_float = torch.Tensor.float


def train(dtype):
    # The linear attention computes in float() whatever the model's dtype is.
    torch.Tensor.float = (lambda t: t.double()) if dtype == torch.float64 else to_float
    model = SanaTransformer2DModel.from_pretrained(args.folder / "pipeline/transformer").to(dtype)
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(**lora))
    params = {}
    for name, param in model.named_parameters():
        if param.requires_grad:
            key = "transformer." + name.replace(".default.", ".")
            stored = adapter.get(key, adapter.get(key.removesuffix(".weight")))
            param.data = stored.to(dtype).reshape(param.shape).clone()
            params[key] = param
    opt = torch.optim.AdamW(params.values(), lr=p["learning_rate"], betas=p["betas"], weight_decay=p["weight_decay"],
                            eps=p["eps"])
    lrs = get_scheduler(p["lr_scheduler"], opt, num_warmup_steps=p["lr_warmup_steps"], num_training_steps=p["steps"])
    losses, norms = [], []
    for step in range(p["steps"]):
        total, count = 0.0, p["gradient_accumulation_steps"]
        for i in range(step * count, step * count + count):
            b = {k.split(".", 1)[1]: v.to(dtype) for k, v in inputs.items() if k.startswith(f"{i}.")}
            sigma = b["sigma"].view(-1, 1, 1, 1)
            noisy = (1 - sigma) * b["latents"] + sigma * b["noise"]
            pred = model(noisy, encoder_hidden_states=b["prompt_embeds"], timestep=b["sigma"] * 1000,
                         encoder_attention_mask=b["prompt_attention_mask"], return_dict=False)[0]
            loss = ((pred - (b["noise"] - b["latents"])) ** 2).mean() / count
            loss.backward()
            total += loss.item()
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), p["max_grad_norm"]).item())
        losses.append(total)
        opt.step(), lrs.step(), opt.zero_grad()
    done = dict(losses=torch.tensor(losses, dtype=torch.float64), grad_norms=torch.tensor(norms, dtype=torch.float64))
    return {**done, **{k: v.detach().double() for k, v in params.items()}}


def report(name, got, want):
    errors = {}
    for key, value in want.items():
        allowed = case["tol"] * max(1e-6, value.abs().max().item())
        errors[key] = ((got[key].double().reshape(value.shape) - value).abs().max() / allowed).item()
    worst = max(errors, key=errors.get)
    print(f"{name}: {errors[worst]:.3g} of the tolerance from float64, in {worst}")
    print("  grad_norms", " ".join(f"{n:.5f}" for n in got["grad_norms"].tolist()))


exact = train(torch.float64)
print("float64\n  grad_norms", " ".join(f"{n:.5f}" for n in exact["grad_norms"].tolist()))
report("float32, again", train(torch.float32), exact)
report("float32, as recorded", load_file(args.folder / case["expected"]), exact)
if args.got:
    report(str(args.got.name), load_file(args.got), exact)
