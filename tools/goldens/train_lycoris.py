"""Writes test/unit/lora/goldens/lycoris: LoKr and LoHa as LyCORIS trains them on a small Sana.

    python tools/goldens/train_lycoris.py     (needs: torch diffusers lycoris-lora safetensors)

The model and the batches are those of test/parity/goldens/plain: twelve steps of AdamW, two micro-batches each, with
warm-up, clipping and a cosine schedule. Of each kind NAME.start.safetensors is LyCORIS' file before the first step, and
NAME.expected.safetensors has losses, norms of the gradient and the tensors after the last.
"""

import json
from pathlib import Path

import torch
from diffusers import SanaTransformer2DModel
from diffusers.optimization import get_scheduler
from lycoris import LycorisNetwork, create_lycoris
from safetensors.torch import load_file, save_file

root = Path(__file__).parents[2]
plain = root / "test/parity/goldens/plain"
out = root / "test/unit/lora/goldens/lycoris"
case = next(e for e in json.loads((plain / "cases.json").read_text()) if e["name"] == "lora_all_r3_a6_train")
p, inputs = case["params"], load_file(plain / case["inputs"])

KINDS = {
    "lokr": dict(algo="lokr", linear_dim=2, linear_alpha=3, factor=4),
    "lokr-both": dict(algo="lokr", linear_dim=1, linear_alpha=2, decompose_both=True),
    "lokr-full": dict(algo="lokr", linear_dim=4, linear_alpha=1, factor=-1, full_matrix=True),
    "loha": dict(algo="loha", linear_dim=2, linear_alpha=1),
}

torch.set_num_threads(1)
out.mkdir(parents=True, exist_ok=True)
for name, options in KINDS.items():
    torch.manual_seed(len(name))
    model = SanaTransformer2DModel.from_pretrained(plain / "pipeline/transformer").requires_grad_(False)
    LycorisNetwork.apply_preset({"enable_conv": True, "target_module": ["Attention", "GLUMBConv"], "target_name": [],
                                 "exclude_name": [".*conv_depth.*"]})
    network = create_lycoris(model, 1.0, **options, conv_dim=options["linear_dim"], conv_alpha=options["linear_alpha"])
    network.apply_to()
    tensors = {k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}
    save_file(tensors, out / f"{name}.start.safetensors")

    params = dict(network.named_parameters())
    opt = torch.optim.AdamW(params.values(), lr=p["learning_rate"], betas=p["betas"], weight_decay=p["weight_decay"],
                            eps=p["eps"])
    lrs = get_scheduler(p["lr_scheduler"], opt, num_warmup_steps=p["lr_warmup_steps"], num_training_steps=p["steps"])
    losses, norms = [], []
    for step in range(p["steps"]):
        total, count = 0.0, p["gradient_accumulation_steps"]
        for i in range(step * count, step * count + count):
            b = {k.split(".", 1)[1]: v for k, v in inputs.items() if k.startswith(f"{i}.")}
            sigma = b["sigma"].view(-1, 1, 1, 1)
            noisy = (1 - sigma) * b["latents"] + sigma * b["noise"]
            pred = model(noisy, encoder_hidden_states=b["prompt_embeds"], timestep=b["sigma"] * 1000,
                         encoder_attention_mask=b["prompt_attention_mask"], return_dict=False)[0]
            loss = ((pred - (b["noise"] - b["latents"])) ** 2).mean() / count
            loss.backward()
            total += loss.item()
        norms.append(torch.nn.utils.clip_grad_norm_(list(params.values()), p["max_grad_norm"]).item())
        opt.step(), lrs.step(), opt.zero_grad()
        losses.append(total)
    state = {k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}
    save_file({**state, "losses": torch.tensor(losses), "grad_norms": torch.tensor(norms)},
              out / f"{name}.expected.safetensors")
    print(f"{name}: {len(params)} tensors, loss {losses[0]:.4f} to {losses[-1]:.4f}")
for file in out.iterdir():
    file.chmod(0o644)  # safetensors writes them for the owner alone
