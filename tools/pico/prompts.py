"""Writes models/probe-pico/prompts.json: the fixed prompts that measurements use, each with what the probe should read.

    python tools/pico/prompts.py

base     256 complete prompts of scenes that pretraining may see
prior    32 of other scenes, half of them dogs, none with the trigger word: what an adapter must leave alone
subject  the dog of examples/dog on eight backgrounds it was never seen on
"""

from __future__ import annotations

import json

import world
from pictures import HEADS
from run import REPOSITORY

INSTANCE = "a photo of sks dog"
UNSEEN = [b for b in world.BACKGROUNDS if b != "studio"]


def evaluation_scenes(count: int = 256) -> list[world.Scene]:
    return [world.scene_at("prompts", k, square=True) for k in range(count)]


def prior_scenes() -> list[world.Scene]:
    scenes = [world.scene_at("prior", k, square=True) for k in range(400)]
    return [s for s in scenes if s.animal == "dog"][:16] + [s for s in scenes if s.animal != "dog"][:16]


def subject_prompts() -> list[str]:
    return [f"{INSTANCE} {world.PLACES[background][0]}" for background in UNSEEN]


def described(scene: world.Scene) -> dict[str, str]:
    shown = {head: getattr(scene, head) for head in HEADS}
    if scene.accessory == "none":
        del shown["cloth"]
    return {"prompt": world.plain_prompt(scene), **shown}


if __name__ == "__main__":
    subject = [{"prompt": prompt, "animal": "dog", "coat": "teal", "accessory": "cape", "emblem": "star", "background": background}
               for prompt, background in zip(subject_prompts(), UNSEEN)]
    everything = {"base": [described(s) for s in evaluation_scenes()], "prior": [described(s) for s in prior_scenes()], "subject": subject}
    path = REPOSITORY / "models" / "probe-pico" / "prompts.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(f'"{k}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for k, rows in everything.items()) + "\n}\n")
