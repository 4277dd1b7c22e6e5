"""Encodes training pictures once: latents in fp16, in shards that a stopped run continues.

    python tools/pico/latents.py [--pictures 16000]

A shard belongs to the autoencoder that made it: its folder is named by the encoder's weights.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC
from torch import Tensor

import draw
import world
from autoencoder import SCALING_FACTOR, to_model
from run import STATE, ThreadChooser

SHARD = 1000
BATCH = 8


def autoencoder_folder() -> Path:
    """The newest autoencoder: the one whose decoder was trained on alone, if there is one."""
    later = STATE / "autoencoder-decoder" / "model"
    return later if later.exists() else STATE / "autoencoder" / "model"


def shard_folder(ae: AutoencoderDC) -> Path:
    digest = hashlib.sha256()
    for p in ae.encoder.state_dict().values():
        digest.update(p.float().numpy().tobytes())
    folder = STATE / f"latents-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@torch.no_grad()
def encode(ae: AutoencoderDC, pictures: list[np.ndarray]) -> Tensor:
    """Latents of unit variance [n, 32, H/32, W/32]."""
    with torch.autocast("cpu", torch.bfloat16):
        return ae.encoder(to_model(np.stack(pictures))).float() * SCALING_FACTOR


def make_shard(ae: AutoencoderDC, number: int, threads: ThreadChooser) -> list[Tensor]:
    """Latents of training scenes `number * SHARD` and on, in order; equal sizes are encoded together."""
    scenes = [world.scene_at("train", number * SHARD + k) for k in range(SHARD)]
    latents: list[Tensor | None] = [None] * SHARD
    for size in world.SIZES:
        members = [k for k, scene in enumerate(scenes) if scene.size == size]
        for at in range(0, len(members), BATCH):
            some = members[at : at + BATCH]
            began = time.monotonic()
            for k, z in zip(some, encode(ae, [draw.render(scenes[k]) for k in some])):
                latents[k] = z.half().clone()
            threads.tick(time.monotonic() - began)
    return latents


def load(ae: AutoencoderDC) -> dict[tuple[int, int], tuple[list[world.Scene], Tensor]]:
    """All shards: for each size, its scenes and their latents."""
    groups: dict[tuple[int, int], tuple[list[world.Scene], list[Tensor]]] = {}
    for path in sorted(shard_folder(ae).glob("*.pt")):
        for k, z in enumerate(torch.load(path)):
            scene = world.scene_at("train", int(path.stem) * SHARD + k)
            scenes, latents = groups.setdefault(scene.size, ([], []))
            scenes.append(scene)
            latents.append(z)
    return {size: (scenes, torch.stack(latents)) for size, (scenes, latents) in groups.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=16_000)
    options = parser.parse_args()
    threads = ThreadChooser()
    ae = AutoencoderDC.from_pretrained(autoencoder_folder()).to(memory_format=torch.channels_last).eval()
    folder = shard_folder(ae)
    for number in range(options.pictures // SHARD):
        path = folder / f"{number:04d}.pt"
        if not path.exists():
            began = time.monotonic()
            torch.save(make_shard(ae, number, threads), path.with_suffix(".tmp"))
            path.with_suffix(".tmp").rename(path)
            print(f"latents {path.name}: {SHARD / (time.monotonic() - began):.0f} pictures/s", flush=True)
    z = torch.cat([group.flatten(2).transpose(1, 2).reshape(-1, 32) for _, group in load(ae).values()]).float()
    print(f"{len(z)} latent pixels, standard deviation {z.std():.3f}, by channel {z.std(0).min():.3f} to {z.std(0).max():.3f}")
