"""Writes vocabulary.json, what pico:score needs to know of the world, from tools/pico/world.py. Needs no packages.

    python tools/pico-score/export_vocabulary.py
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pico"))

import world  # noqa: E402

HEADS: dict[str, list[str]] = {
    "animal": world.ANIMALS, "coat": list(world.COATS), "pattern": world.PATTERNS, "accessory": world.ACCESSORIES,
    "cloth": list(world.CLOTHS), "emblem": world.EMBLEMS, "pose": world.POSES, "background": world.BACKGROUNDS,
}


def held_out_pairs() -> list[dict[str, str]]:
    """What world.held_out rejects, as pairs of values that never meet."""
    # A scene that no single other value makes a held out one.
    neutral = replace(world.Scene(jitter=0, **{head: names[0] for head, names in HEADS.items()}), animal="cat")
    pairs = []
    for (a, a_names), (b, b_names) in itertools.combinations(HEADS.items(), 2):
        for x, y in itertools.product(a_names, b_names):
            alone = (replace(neutral, **{a: x}), replace(neutral, **{b: y}))
            assert not any(world.held_out(scene) for scene in alone), "held_out rejects more than pairs"
            if world.held_out(replace(neutral, **{a: x, b: y})):
                pairs.append({a: x, b: y})
    rng = random.Random(0)
    for _ in range(100_000):
        scene = world.draw_scene(rng, allow_held_out=True)
        found = any(all(getattr(scene, head) == name for head, name in pair.items()) for pair in pairs)
        assert found == world.held_out(scene), scene
    return pairs


def main() -> None:
    subject = world.dog("studio")
    vocabulary = {
        "heads": HEADS,
        "places": {background: phrases[0] for background, phrases in world.PLACES.items()},
        "heldOut": held_out_pairs(),
        # What examples/dog shows; it was drawn on the background that is named here.
        "subject": {head: getattr(subject, head) for head in HEADS if head != "pose"},
    }
    parts = ",\n".join(f"  {json.dumps(name)}: {lines_of(part)}" for name, part in vocabulary.items())
    (HERE / "vocabulary.json").write_text("{\n" + parts + "\n}\n", newline="\n")


def lines_of(part: dict | list) -> str:
    """JSON with a line an entry, as the formatter would have it."""
    if isinstance(part, dict):
        return "{\n" + ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in part.items()) + "\n  }"
    return "[\n" + ",\n".join("    { " + json.dumps(entry)[1:-1] + " }" for entry in part) + "\n  ]"


if __name__ == "__main__":
    main()
