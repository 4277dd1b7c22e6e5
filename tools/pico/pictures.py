"""Small pictures for the small models (probe, CLIP, captioners): 128 px, rendered once, disturbed anew at every use."""

from __future__ import annotations

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import draw
import world
from run import STATE

SIDE = 128
PROBE_HELD_OUT = 0.15  # the probe must recognise examples/dog and examples/fox and things like them; no other part sees them

HEADS: dict[str, list[str]] = {
    "animal": world.ANIMALS, "coat": list(world.COATS), "pattern": world.PATTERNS, "accessory": world.ACCESSORIES,
    "cloth": list(world.CLOTHS), "emblem": world.EMBLEMS, "pose": world.POSES, "background": world.BACKGROUNDS,
}
UNKNOWN = -100  # the colour of an accessory that is not there; cross_entropy ignores it


def scene_at(split: str, index: int) -> world.Scene:
    if split != "probe":
        return world.scene_at(split, index, square=True)
    rng = random.Random(f"probe/{index}/subject")
    if rng.random() < PROBE_HELD_OUT:
        make = rng.choice([world.dog, world.fox])
        return make(rng.choice(world.BACKGROUNDS), rng.choice(world.POSES), rng.randrange(2**31))
    return world.scene_at("probe", index, allow_held_out=True, square=True)


def labels(scene: world.Scene) -> list[int]:
    return [UNKNOWN if head == "cloth" and scene.accessory == "none" else names.index(getattr(scene, head)) for head, names in HEADS.items()]


def load(split: str, count: int) -> tuple[list[world.Scene], np.ndarray]:
    """Scenes and uint8 [count, 128, 128, 3], from the state folder once they are there."""
    scenes = [scene_at(split, k) for k in range(count)]
    path = STATE / f"pictures-{split}-{count}.npy"
    if not path.exists():
        temporary = path.with_suffix(".tmp.npy")
        pictures = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, SIDE, SIDE, 3))
        for k, scene in enumerate(scenes):
            pictures[k] = draw.render(scene, zoom=SIDE / 256)
        pictures.flush()
        temporary.rename(path)
    return scenes, np.load(path, mmap_mode="r")


def to_model(pictures: np.ndarray) -> Tensor:
    """uint8 [n, H, W, 3] to [-1, 1] [n, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def disturbed(x: Tensor, rng: random.Random) -> Tensor:
    """Blurred, noisy, darker or lighter, as generated pictures are."""
    if rng.random() < 0.5:
        small = rng.choice([40, 48, 64, 80])
        x = F.interpolate(F.interpolate(x, size=small, mode="area"), size=x.shape[-1], mode="bilinear")
    return x * rng.uniform(0.9, 1.05) + rng.uniform(-0.06, 0.06) + 0.12 * rng.random() * torch.randn_like(x)
