"""Measures an exported pipeline with the probe and clip-pico, as the table of docs/sana-pico.md asks.

    python tools/pico/evaluate.py [--pipeline models/sana-pico] [--prompts 256]

One JSON object on the last line: per cent of pictures in which the probe reads what the prompt said.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import SanaPipeline

import pictures
import world
from clip import load_clip
from grid import save_grid
from probe import load_probe, predict
from prompts import evaluation_scenes
from run import REPOSITORY, STATE, use_two_threads
from small_text import make_small_tokenizer, to_ids
from text import DIFFUSERS_CHI, CaptionEncoder
from transformer import make_pictures

MEASURED = ("animal", "coat", "background", "pattern", "accessory", "emblem", "pose")


def probe_score(scenes: list[world.Scene], made: np.ndarray) -> dict[str, float]:
    read = predict(load_probe(), made)
    score = {head: 100 * float(np.mean([seen == getattr(s, head) for seen, s in zip(read[head], scenes)])) for head in MEASURED}
    # Accessories and emblems where the prompt asked for one: half the emblems are "none" and would flatter.
    for head in ("accessory", "emblem"):
        asked = [(seen, getattr(s, head)) for seen, s in zip(read[head], scenes) if getattr(s, head) != "none"]
        score[f"{head} asked for"] = 100 * float(np.mean([a == b for a, b in asked]))
    return score


@torch.no_grad()
def clip_score(prompts: list[str], made: np.ndarray) -> float:
    """100 times the mean cosine of picture and prompt."""
    model, tokenizer = load_clip(), make_small_tokenizer()
    x = F.interpolate(pictures.to_model(made), size=pictures.SIDE, mode="area")
    image = F.normalize(torch.cat([model.vision(part) for part in x.split(64)]), dim=-1)
    text = F.normalize(model.text(to_ids(tokenizer, prompts)), dim=-1)
    return 100 * (image * text).sum(-1).mean().item()


def load_parts(folder: Path):
    pipeline = SanaPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.vae.to(memory_format=torch.channels_last)
    return pipeline.text_encoder.eval(), pipeline.transformer.eval(), pipeline.vae.eval(), CaptionEncoder(pipeline.tokenizer, DIFFUSERS_CHI)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, default=REPOSITORY / "models" / "sana-pico")
    parser.add_argument("--prompts", type=int, default=256)
    options = parser.parse_args()
    use_two_threads()
    text, transformer, ae, encoder = load_parts(options.pipeline)
    scenes = evaluation_scenes(options.prompts)
    prompts = [world.plain_prompt(s) for s in scenes]
    made = make_pictures(text, transformer, ae, encoder, prompts)
    save_grid(list(made[:64]), STATE / "evaluation.png")
    score = probe_score(scenes, made) | {"clipScore": clip_score(prompts, made)}
    print(json.dumps({k: round(v, 1) for k, v in score.items()}))
