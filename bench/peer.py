"""The same training step with diffusers, peft and PyTorch, for `npm run bench -- versus VENV`.

Prints a line when ready; then, for every line `fp32` or `bf16` on standard input, runs one whole step (forward,
backward, clip, AdamW) in that precision and prints its seconds. bf16 is weights in bfloat16 with the adapter in
float32 under autocast: the fastest of PyTorch's ways on the CPUs it was tried on.
"""

import argparse
import json
import sys
import time

import torch
from diffusers import SanaTransformer2DModel
from peft import LoraConfig

TARGETS = {
    "attention": ["to_q", "to_k", "to_v"],
    "all": ["to_q", "to_k", "to_v", "to_out.0", "conv_inverted", "conv_point"],
}


def build(args, dtype):
    torch.manual_seed(0)
    model = SanaTransformer2DModel(
        num_layers=args.layers,
        num_attention_heads=args.heads,
        attention_head_dim=args.width // args.heads,
        num_cross_attention_heads=args.cross_heads,
        cross_attention_head_dim=args.width // args.cross_heads,
        cross_attention_dim=args.width,
    ).to(dtype)
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=args.rank, lora_alpha=args.rank, target_modules=TARGETS[args.targets]))
    params = [p for p in model.parameters() if p.requires_grad]
    for p in params:
        p.data = p.data.float()
    if args.checkpointing == "on":
        model.enable_gradient_checkpointing()
        model.train()
    h, w = map(int, args.latent.split("x"))
    size = (args.batch, 32, h, w)
    mask = torch.zeros(args.batch, args.text_tokens)
    mask[:, : args.real_text_tokens] = 1
    batch = {
        "latents": torch.randn(size),
        "noise": torch.randn(size),
        "sigma": torch.rand(args.batch),
        "text": torch.randn(args.batch, args.text_tokens, 2304),
        "mask": mask,
    }
    return model, params, torch.optim.AdamW(params, lr=1e-4), batch


def step(model, params, optimizer, batch, dtype):
    start = time.perf_counter()
    sigma = batch["sigma"].view(-1, 1, 1, 1)
    noisy = (1 - sigma) * batch["latents"] + sigma * batch["noise"]
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        pred = model(
            noisy.to(dtype),
            encoder_hidden_states=batch["text"].to(dtype),
            encoder_attention_mask=batch["mask"],
            timestep=batch["sigma"] * 1000,
            return_dict=False,
        )[0]
    loss = ((pred.float() - (batch["noise"] - batch["latents"])) ** 2).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 0.1)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in [("layers", 4), ("width", 1152), ("heads", 36), ("cross-heads", 16), ("text-tokens", 300),
                          ("real-text-tokens", 40), ("rank", 16), ("batch", 1), ("threads", 2)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--latent", default="16x16")
    parser.add_argument("--targets", choices=TARGETS, default="attention")
    parser.add_argument("--checkpointing", choices=["on", "off"], default="off")
    parser.add_argument("--precisions", default="fp32,bf16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16}
    sides = {name: (*build(args, dtypes[name]), dtypes[name]) for name in args.precisions.split(",")}
    for side in sides.values():
        step(*side)  # warm-up: allocations, oneDNN's choices
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": step(*sides[line.strip()])}), flush=True)


if __name__ == "__main__":
    main()
