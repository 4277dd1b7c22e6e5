"""Sampling, the autoencoder's halves and the text encoder with PyTorch, for `npm run bench -- versus VENV --what ...`.

Prints a line when ready; then, for every line `fp32` or `bf16` on standard input, runs the part once in that precision
and prints its seconds. Weights come from the same folder as the other side's.
"""

import argparse
import json
import sys
import time

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def sample(args, dtype):
    from diffusers import DPMSolverMultistepScheduler, SanaTransformer2DModel

    model = SanaTransformer2DModel.from_pretrained(args.folder, torch_dtype=dtype)
    side = args.size // 32
    noise = torch.randn(1, 32, side, side)
    # As SanaPipeline: 300 rows a prompt, with a mask, both predictions in one batch.
    text = torch.randn(2, 300, 2304, dtype=dtype)
    mask = torch.zeros(2, 300)
    mask[0, :2] = 1
    mask[1, : args.tokens] = 1

    def run():
        scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
        scheduler.set_timesteps(args.steps)
        x = noise
        for t in scheduler.timesteps:
            pair = torch.cat([x, x]).to(dtype)
            out = model(pair, encoder_hidden_states=text, encoder_attention_mask=mask, timestep=t.expand(2).to(dtype),
                        return_dict=False)[0].float()
            uncond, cond = out.chunk(2)
            x = scheduler.step(uncond + 4.5 * (cond - uncond), t, x, return_dict=False)[0]

    return run


def vae(args, dtype):
    from diffusers import AutoencoderDC

    model = AutoencoderDC.from_pretrained(args.folder, torch_dtype=dtype)
    side = args.size // 32
    if args.what == "encode":
        picture = torch.randn(1, 3, args.size, args.size).to(dtype)
        return lambda: model.encode(picture)
    latents = torch.randn(1, 32, side, side).to(dtype)
    return lambda: model.decode(latents)


def text(args, dtype):
    from transformers import Gemma2Model

    model = Gemma2Model.from_pretrained(args.folder, torch_dtype=dtype)
    ids = torch.randint(0, 256000, (1, args.padded))
    mask = torch.zeros(1, args.padded, dtype=torch.long)
    mask[:, : args.tokens] = 1
    return lambda: model(ids, attention_mask=mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sample", "encode", "decode", "text"])
    parser.add_argument("folder")
    for name, default in [("size", 512), ("steps", 20), ("tokens", 40), ("padded", 540), ("threads", 2)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    build = {"sample": sample, "encode": vae, "decode": vae, "text": text}[args.what]
    print(json.dumps({"torch": torch.__version__}), flush=True)
    sides = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in sides:
            sides[name] = build(args, DTYPES[name])
            sides[name]()  # warm-up
        start = time.perf_counter()
        sides[name]()
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
