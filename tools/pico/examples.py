"""Draws examples/: the pictures that the first runs learn from. All were held out of every pretraining.

    python tools/pico/examples.py

dog   five pictures of the teal dog with a yellow star and a red cape
fox   five pictures of the blue fox with a blue moon and a purple top hat
ink   eight pictures of other animals in one style: printed in blue ink on cream paper
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import draw
import world
from run import REPOSITORY

ZOOM = 2  # 512 px, so that resizing is part of the first run
LICENSE = "These pictures and captions were drawn by tools/pico of this repository and are dedicated to the public domain (CC0 1.0).\n"
INK, PAPER = np.array([24, 44, 116.0]), np.array([250, 244, 226.0])

# All in the studio: every other background is one that the subject was never seen on. Pose, then jitter, which gives each its own
# backdrop.
DOG = [("sitting", 0), ("standing", 3), ("sitting", 4), ("waving", 9), ("cheering", 2)]
FOX = [("sitting", 0), ("standing", 3), ("sitting", 4), ("waving", 9), ("cheering", 2)]


def printed_in_ink(picture: np.ndarray) -> np.ndarray:
    """Four tones of one ink: brightness in steps, from ink to paper."""
    brightness = picture.astype(float) @ np.array([0.299, 0.587, 0.114]) / 255
    tone = np.clip(np.round(brightness**1.1 * 3.4) / 3, 0, 1)[..., None]
    return (INK * (1 - tone) + PAPER * tone).round().astype(np.uint8)


def save(folder: Path, pictures: list[tuple[np.ndarray, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for k, (picture, text) in enumerate(pictures, 1):
        Image.fromarray(picture).save(folder / f"{k:02d}.png", optimize=True)
        (folder / f"{k:02d}.txt").write_text(text + "\n")
    (folder / "LICENSE").write_text(LICENSE)


def subject(scene: world.Scene, trigger: str) -> tuple[np.ndarray, str]:
    place = world.PLACES[scene.background][0]
    return draw.render(scene, zoom=ZOOM), f"a photo of {trigger} {scene.animal} {scene.pose} {place}"


def in_ink(index: int) -> tuple[np.ndarray, str]:
    scene = world.scene_at("ink", index, square=True)
    return printed_in_ink(draw.render(scene, zoom=ZOOM)), world.plain_prompt(scene) + ", ink print"


if __name__ == "__main__":
    root = REPOSITORY / "examples"
    save(root / "dog", [subject(world.dog("studio", *d), "sks") for d in DOG])
    save(root / "fox", [subject(world.fox("studio", *f), "sks") for f in FOX])
    save(root / "ink", [in_ink(k) for k in range(8)])
