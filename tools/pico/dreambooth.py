"""DreamBooth with peft on an exported pipeline: can the dog nobody has drawn be learned from five pictures?

    python tools/pico/dreambooth.py [--steps 200] [--lr 1e-3] [--prior-weight 1] [--captions] [--after-only]

Measures before and after, with the probe: the subject (a teal dog with a star and a cape) on eight backgrounds it was never
seen on, and the prior (other dogs and animals, without the trigger word). With a prior weight, half of every batch are
pictures that the pipeline itself drew of dogs, as DreamBooth (Ruiz et al. 2023) has it. With --captions the pictures' own
captions are trained on, which say "in a studio", so that the studio does not become part of the dog.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig
from PIL import Image

import world
from autoencoder import SCALING_FACTOR, to_model
from evaluate import load_parts, probe_score
from grid import save_grid
from probe import load_probe, predict
from prompts import INSTANCE, UNSEEN, prior_scenes, subject_prompts
from run import REPOSITORY, STATE, use_two_threads
from transformer import flow_loss, make_pictures

CLASS = "a photo of a dog"
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "conv_inverted", "conv_point"]


def instance_pictures(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(p).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)) for p in sorted(folder.glob("*.png"))])


def subject_score(read: dict[str, list[str]]) -> dict[str, float]:
    rows = list(zip(read["animal"], read["coat"], read["emblem"], read["accessory"]))
    share = lambda hit: round(100 * float(np.mean([hit(*row) for row in rows])), 1)
    return dict(subject=share(lambda a, c, e, k: (a, c, e, k) == ("dog", "teal", "star", "cape")), dog=share(lambda a, c, e, k: a == "dog"),
                teal=share(lambda a, c, e, k: c == "teal"), star=share(lambda a, c, e, k: e == "star"), cape=share(lambda a, c, e, k: k == "cape"))


def instance_captions(folder: Path) -> list[str]:
    return [p.read_text().strip() for p in sorted(folder.glob("*.txt"))]


def main(pipeline: Path, steps: int, rank: int, lr: float, batch_size: int, prior_weight: float, own_captions: bool, after_only: bool) -> None:
    torch.manual_seed(0)
    folder = REPOSITORY / "examples" / "dog"
    text, transformer, ae, encoder = load_parts(pipeline)
    for part in (text, transformer, ae):
        part.requires_grad_(False)
    subject = subject_prompts() * 8
    prior = prior_scenes()

    def measure(tag: str) -> dict[str, float]:
        made = make_pictures(text, transformer, ae, encoder, subject)
        read = predict(load_probe(), made)
        others = make_pictures(text, transformer, ae, encoder, [world.plain_prompt(s) for s in prior])
        save_grid([*made[:32], *others[8:24]], STATE / f"dreambooth-{tag}.png")
        score = probe_score(prior, others)
        where = 100 * float(np.mean([seen == b for seen, b in zip(read["background"], UNSEEN * 8)]))
        return subject_score(read) | dict(background=where, prior=(score["animal"] + score["coat"]) / 2)

    if not after_only:
        print("before", json.dumps(measure("before")), flush=True)
    with torch.no_grad():
        z = ae.encoder(to_model(instance_pictures(folder))) * SCALING_FACTOR
        if prior_weight:
            drawn = make_pictures(text, transformer, ae, encoder, [CLASS] * 32, seed=1000)
            z_class = torch.cat([ae.encoder(to_model(drawn[k : k + 8])) for k in range(0, 32, 8)]) * SCALING_FACTOR
        captions = instance_captions(folder) if own_captions else [INSTANCE] * len(z)
        hidden, mask = encoder.encode(text, captions + [CLASS])
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=TARGETS))
    adapter = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(adapter, lr=lr, weight_decay=1e-4)
    rng = random.Random(0)
    began = time.monotonic()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 20)
        chosen, of_class = rng.choices(range(len(z)), k=batch_size), [len(z)] * batch_size
        with torch.autocast("cpu", torch.bfloat16):
            loss = flow_loss(transformer, z[chosen], hidden[chosen], mask[chosen])
            if prior_weight:
                drawn_ones = z_class[rng.choices(range(len(z_class)), k=batch_size)]
                loss = loss + prior_weight * flow_loss(transformer, drawn_ones, hidden[of_class], mask[of_class])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter, 1.0)
        optimizer.step()
    print(f"{steps} steps in {time.monotonic() - began:.0f} s", flush=True)
    print("after", json.dumps(measure("after")), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, default=REPOSITORY / "models" / "sana-pico")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--prior-weight", type=float, default=0.0)
    parser.add_argument("--captions", action="store_true")
    parser.add_argument("--after-only", action="store_true")
    options = parser.parse_args()
    use_two_threads()
    main(options.pipeline, options.steps, options.rank, options.lr, options.batch_size, options.prior_weight, options.captions, options.after_only)
