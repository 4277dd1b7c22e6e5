"""Writes models/sana-pico: a SanaPipeline in diffusers' layout, fp16 safetensors.

    python tools/pico/export.py [--to models/sana-pico]
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel
from transformers import Gemma2Model

from grid import save_grid
from latents import autoencoder_folder
from run import REPOSITORY, STATE, use_two_threads
from text import load_tokenizer
from transformer import make_scheduler

PROMPTS = ["a brown dog wearing a blue scarf in the snow", "a pink rabbit cheering in a meadow", "a black cat wearing a red top hat in the city",
           "a green frog with a heart on its belly in space", "a gray bear with a yellow crown in the forest", "an orange fox waving in the desert",
           "a yellow bird with glasses on the beach", "a white pig sitting in the living room"]


def forget_where(folder: Path) -> None:
    """diffusers notes the folder that a part was loaded from; that is nobody's business."""
    for path in folder.rglob("*.json"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if '"_name_or_path"' not in line))


def export(to: Path) -> None:
    trained = STATE / "transformer"
    tokenizer = load_tokenizer()
    tokenizer.padding_side = "right"
    pipeline = SanaPipeline(
        tokenizer, Gemma2Model.from_pretrained(trained / "text_encoder"), AutoencoderDC.from_pretrained(autoencoder_folder()),
        SanaTransformer2DModel.from_pretrained(trained / "transformer"), make_scheduler()).to(torch.float16)
    temporary = to.with_name(to.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    pipeline.save_pretrained(temporary)
    forget_where(temporary)
    shutil.rmtree(to, ignore_errors=True)
    temporary.rename(to)


def check(folder: Path, sheet: Path) -> None:
    """Loads what was written and draws with every default but the size."""
    pipeline = SanaPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(PROMPTS, height=256, width=256, num_inference_steps=20, guidance_scale=4.5, use_resolution_binning=False,
                    generator=torch.Generator().manual_seed(0), output_type="np").images
    save_grid(list((made * 255).round().astype(np.uint8)), sheet)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB; pictures in {sheet}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=REPOSITORY / "models" / "sana-pico")
    options = parser.parse_args()
    use_two_threads()
    export(options.to)
    check(options.to, STATE / "export-check.png")
