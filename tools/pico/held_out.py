"""Draws held-out pictures of the world with a description of each, for measurements.

    python tools/pico/held_out.py FOLDER [--count 200]

FOLDER/0001.png ... of 256 px, and scenes.json: a list of {"picture", "animal", "coat"}.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

import draw
import world

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for k in range(options.count):
        scene = world.scene_at("test", k, square=True)
        name = f"{k:04d}.png"
        Image.fromarray(draw.render(scene)).save(options.folder / name)
        scenes.append(dict(picture=name, animal=scene.animal, coat=scene.coat))
    (options.folder / "scenes.json").write_text(json.dumps(scenes))
