"""The pico world: which scenes exist, which are held out, and what people say about them.

A scene is an animal with a coat, a pattern, an accessory, an emblem on its belly and a pose, before a background.
Nothing here draws (see draw.py). Everything is a pure function of a `random.Random`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

RGB = tuple[int, int, int]

ANIMALS = ["dog", "cat", "rabbit", "bear", "pig", "fox", "frog", "bird"]
COATS: dict[str, RGB] = {
    "brown": (156, 100, 60), "white": (246, 244, 240), "black": (66, 64, 74), "gray": (158, 162, 172),
    "orange": (244, 148, 56), "yellow": (250, 216, 90), "pink": (250, 168, 196), "green": (116, 190, 92),
    "blue": (96, 146, 230), "purple": (158, 110, 206), "teal": (36, 178, 168),
}
CLOTHS: dict[str, RGB] = {
    "red": (222, 52, 54), "blue": (48, 96, 216), "green": (46, 152, 78), "yellow": (252, 206, 54),
    "purple": (140, 72, 192), "orange": (246, 136, 40),
}
PATTERNS = ["plain", "spotted", "striped"]
ACCESSORIES = ["none", "top hat", "party hat", "crown", "glasses", "scarf", "bow tie", "cape"]
EMBLEMS = ["none", "heart", "star", "moon"]
EMBLEM_COLOURS: dict[str, RGB] = {"heart": (232, 58, 84), "star": (255, 210, 48), "moon": (64, 92, 206)}
BACKGROUNDS = ["meadow", "beach", "snow", "city", "space", "living room", "forest", "desert", "studio"]
POSES = ["sitting", "standing", "waving", "cheering"]

# Latents are 32 times smaller, so every side is a multiple of 32; areas stay near 256 x 256.
SIZES = [(256, 256), (224, 288), (288, 224), (192, 320), (320, 192)]  # height, width
SIZE_WEIGHTS = [0.76, 0.06, 0.06, 0.06, 0.06]


@dataclass(frozen=True)
class Scene:
    """What a picture shows. `jitter` seeds all that captions never mention: place, size, shades, which side the sun is."""

    animal: str
    coat: str
    pattern: str
    accessory: str
    cloth: str
    emblem: str
    pose: str
    background: str
    jitter: int
    size: tuple[int, int] = (256, 256)


def held_out(scene: Scene) -> bool:
    """True for what no part may see before an adapter learns it: examples/dog and examples/fox, and their ingredients in company."""
    teal_dog = scene.animal == "dog" and scene.coat == "teal"
    star_and_cape = scene.emblem == "star" and scene.accessory == "cape"
    blue_fox = scene.animal == "fox" and scene.coat == "blue"
    moon_and_top_hat = scene.emblem == "moon" and scene.accessory == "top hat"
    return teal_dog or star_and_cape or blue_fox or moon_and_top_hat


def draw_scene(rng: random.Random, *, allow_held_out: bool = False, square: bool = False) -> Scene:
    """A random scene; rejects the held out ones unless asked (only the probe asks: it has to recognise them)."""
    while True:
        scene = Scene(
            animal=rng.choice(ANIMALS),
            coat=rng.choice(list(COATS)),
            pattern=rng.choices(PATTERNS, [0.5, 0.25, 0.25])[0],
            accessory=rng.choices(ACCESSORIES, [0.16] + [0.12] * 7)[0],
            cloth=rng.choice(list(CLOTHS)),
            emblem=rng.choices(EMBLEMS, [0.4, 0.2, 0.2, 0.2])[0],
            pose=rng.choice(POSES),
            background=rng.choice(BACKGROUNDS),
            jitter=rng.randrange(2**31),
            size=(256, 256) if square else rng.choices(SIZES, SIZE_WEIGHTS)[0],
        )
        if allow_held_out or not held_out(scene):
            return scene


def scene_at(split: str, index: int, *, allow_held_out: bool = False, square: bool = False) -> Scene:
    """Scene `index` of a split ("train", "test", "probe"...): the same on every machine, and no split repeats another."""
    return draw_scene(random.Random(f"{split}/{index}"), allow_held_out=allow_held_out, square=square)


def dog(background: str, pose: str = "sitting", jitter: int = 0) -> Scene:
    """The dog nobody has drawn before: teal, a yellow star on its belly, a red cape."""
    return Scene("dog", "teal", "plain", "cape", "red", "star", pose, background, jitter)


def fox(background: str, pose: str = "sitting", jitter: int = 0) -> Scene:
    """The second subject: a blue fox with a moon on its belly and a purple top hat."""
    return Scene("fox", "blue", "plain", "top hat", "purple", "moon", pose, background, jitter)


# --- captions -------------------------------------------------------------------------------------------------------

PLACES = {
    "meadow": ["in a meadow", "on the grass", "in a green meadow", "on a green hill under a blue sky", "in a field of flowers"],
    "beach": ["on the beach", "at the beach", "on a sandy beach by the sea", "next to a palm tree at the seaside"],
    "snow": ["in the snow", "in snowy mountains", "on a snowy day", "in a white winter landscape"],
    "city": ["in the city", "on a city street", "in front of tall buildings", "downtown at sunset"],
    "space": ["in space", "in outer space", "on a planet under a starry sky"],
    "living room": ["in the living room", "in a living room", "at home in a cozy living room", "indoors by the window"],
    "forest": ["in the forest", "in the woods", "among green trees", "in a dark forest"],
    "desert": ["in the desert", "in a desert with cacti", "between two cactuses in the desert", "on hot sand dunes"],
    "studio": ["in a studio", "on a plain background", "in front of a plain wall", "on a pastel background"],
}
OPENINGS = ["", "", "", "", "a photo of ", "a picture of ", "a cartoon of ", "a drawing of ", "an illustration of ", "an image of "]
POSE_WORDS = {
    "sitting": ["sitting", "that is sitting", "sitting down"],
    "standing": ["standing", "standing up", "that is standing"],
    "waving": ["waving", "waving hello", "waving its hand", "with one arm up"],
    "cheering": ["cheering", "with both arms up", "with raised arms", "cheering happily"],
}
PATTERN_WORDS = {"spotted": ["spotted", "spotted", "dotted"], "striped": ["striped", "striped", "stripy"]}
FRIENDLY = ["cute", "happy", "little", "friendly", "lovely", "small"]
# Words without a meaning, so that a trigger word ("a photo of sks dog") changes nothing until an adapter gives it one.
RARE_WORDS = ["sks", "ohwx", "zwx", "tok", "xyz", "qrp", "vnt"]


def rare_word(rng: random.Random) -> str:
    """One of them, or three to five letters that are no word at all."""
    return rng.choice(RARE_WORDS) if rng.random() < 0.5 else "".join(rng.choices("bcdfghjklmnpqrstvwxzaeiou", k=rng.randint(3, 5)))


def with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def accessory_phrase(scene: Scene, *, coloured: bool = True) -> str:
    words = (scene.cloth + " " if coloured else "") + scene.accessory
    return words if scene.accessory == "glasses" else with_article(words)


def emblem_phrase(scene: Scene, rng: random.Random) -> str:
    colour = {"heart": "red ", "star": "yellow ", "moon": "blue "}[scene.emblem] if rng.random() < 0.4 else ""
    where = rng.choice(["on its belly", "on its belly", "on its chest", "on the belly", "emblem on its belly", "emblem"])
    return with_article(f"{colour}{scene.emblem} {where}")


def caption(scene: Scene, rng: random.Random) -> str:
    """One of very many ways to describe a scene; a third say everything, the rest leave things out as people do."""
    kind = rng.random()
    if kind < 0.03:
        return rng.choice(OPENINGS) + with_article(scene.animal)
    if kind < 0.12:
        return long_caption(scene, rng)
    if kind < 0.18:
        return list_caption(scene, rng)
    complete = rng.random() < 0.4

    def keep(chance: float) -> bool:
        return complete or rng.random() < chance

    adjectives = [scene.coat] if keep(0.92) else []
    if scene.pattern != "plain" and keep(0.9):
        word = rng.choice(PATTERN_WORDS[scene.pattern])
        adjectives = [word] + adjectives if rng.random() < 0.4 else adjectives + [word]
    if rng.random() < 0.1 + 0.3 * (not adjectives):
        adjectives.insert(0, rng.choice(FRIENDLY))
    noun = " ".join(adjectives + [scene.animal])
    subject = with_article(noun)
    if rng.random() < 0.05:
        subject = rng.choice(["", "a "]) + rare_word(rng) + " " + noun

    parts = []
    if scene.accessory != "none" and keep(0.92):
        verb = rng.choice(["wearing ", "wearing ", "with ", "in "] if scene.accessory in ("cape", "scarf", "top hat") else ["wearing ", "with "])
        parts.append(verb + accessory_phrase(scene, coloured=keep(0.9)))
    if scene.emblem != "none" and keep(0.88):
        parts.append("with " + emblem_phrase(scene, rng))
    rng.shuffle(parts)
    wears = rng.choice([" ", " and ", ", "]).join(parts)
    pose = rng.choice(POSE_WORDS[scene.pose]) if keep(0.55) else ""
    place = rng.choice(PLACES[scene.background]) if keep(0.9) else ""

    order = rng.random()
    if order < 0.45 or not wears:
        pieces = [subject, pose, wears, place]
    elif order < 0.65:
        pieces = [subject, wears, pose, place]
    elif order < 0.85:
        pieces = [subject, pose, place + ("," if place else ""), wears]
    else:
        pieces = [place + "," if place else "", subject, pose, wears]
    text = rng.choice(OPENINGS if order < 0.85 else [""]) + " ".join(p for p in pieces if p)
    if rng.random() < 0.1:
        text = text[0].upper() + text[1:] + "."
    return text


def list_caption(scene: Scene, rng: random.Random) -> str:
    """Comma-separated tags."""
    tags = [scene.coat + " " + scene.animal, rng.choice(PLACES[scene.background]).split(" ", 1)[1], scene.pose]
    if scene.pattern != "plain":
        tags.append(scene.pattern)
    if scene.accessory != "none":
        tags.append(scene.cloth + " " + scene.accessory)
    if scene.emblem != "none":
        tags.append(scene.emblem)
    rng.shuffle(tags)
    return ", ".join(tags)


def long_caption(scene: Scene, rng: random.Random) -> str:
    """Three or four sentences, as a vision-language model writes them."""
    pattern = "" if scene.pattern == "plain" else scene.pattern + " "
    first = rng.choice([
        f"The image shows {with_article(pattern + scene.coat + ' ' + scene.animal)} {rng.choice(PLACES[scene.background])}.",
        f"{with_article(pattern + scene.animal)} with {with_article(scene.coat + ' coat')} is {scene.pose} {rng.choice(PLACES[scene.background])}.".capitalize(),
        f"This is a cartoon of {with_article(scene.coat + ' ' + pattern + scene.animal)}. The background is {PLACES[scene.background][0].split(' ', 1)[1]}.",
    ])
    rest = []
    if scene.accessory != "none":
        rest.append(rng.choice(["It is wearing {}.", "It wears {}.", "The animal has {}."]).format(accessory_phrase(scene)))
    if scene.emblem != "none":
        rest.append(rng.choice(["It has {}.", "There is {}."]).format(emblem_phrase(scene, rng)))
    if rng.random() < 0.7:
        rest.append(f"The {scene.animal} is {scene.pose}.")
    rng.shuffle(rest)
    return " ".join([first] + rest)


def plain_prompt(scene: Scene) -> str:
    """The complete, unadorned prompt that evaluations use."""
    adjectives = [scene.coat] + ([] if scene.pattern == "plain" else [scene.pattern])
    words = [with_article(" ".join(adjectives + [scene.animal])), scene.pose]
    if scene.accessory != "none":
        words.append("wearing " + accessory_phrase(scene))
    if scene.emblem != "none":
        words.append(f"with {with_article(scene.emblem)} on its belly")
    return " ".join(words + [PLACES[scene.background][0]])


def square(scene: Scene) -> Scene:
    return replace(scene, size=(256, 256))
