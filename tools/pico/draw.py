"""The renderer: a Scene to pixels with Skia, the same bytes for the same scene.

Everything is drawn in units of a 256-unit square. Nothing is thinner than two units: what is smaller than that drowns in
latents that are 32 times smaller than the picture, and a decoder that is asked for it blurs everything else.
"""

from __future__ import annotations

import colorsys
import math
import random

import numpy as np
import skia

from world import CLOTHS, COATS, EMBLEM_COLOURS, Scene

Colour = tuple[float, float, float]
INK = (44, 36, 48)
WHITE = (255, 255, 255)
BLUSH = (250, 130, 140)
BACKDROPS = [(252, 214, 186), (196, 232, 208), (220, 208, 242), (190, 222, 246), (248, 236, 190)]  # of the studio


def mix(a: Colour, b: Colour, amount: float) -> Colour:
    return tuple(x * (1 - amount) + y * amount for x, y in zip(a, b))


def darker(colour: Colour, amount: float) -> Colour:
    return mix(colour, (40, 24, 44), amount)


def lighter(colour: Colour, amount: float) -> Colour:
    return mix(colour, (255, 252, 246), amount)


def shade(colour: Colour, rng: random.Random) -> Colour:
    """A barely different colour: no two teal coats are the same bytes."""
    h, l, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    h, l, s = h + rng.gauss(0, 0.005), l + rng.gauss(0, 0.012), s * (1 + rng.gauss(0, 0.04))
    return tuple(255 * c for c in colorsys.hls_to_rgb(h % 1, min(0.97, max(0.05, l)), min(1, max(0, s))))


# --- paths ----------------------------------------------------------------------------------------------------------

def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0) -> skia.Path:
    path = skia.Path()
    path.addOval(skia.Rect(x - rx, y - ry, x + rx, y + ry))
    if turn:
        matrix = skia.Matrix()
        matrix.setRotate(turn, x, y)
        path.transform(matrix)
    return path


def polygon(*points: tuple[float, float], closed: bool = True) -> skia.Path:
    path = skia.Path()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    if closed:
        path.close()
    return path


def box(x: float, y: float, width: float, height: float, radius: float = 0) -> skia.Path:
    path = skia.Path()
    path.addRoundRect(skia.Rect(x, y, x + width, y + height), radius, radius)
    return path


def curve(commands: str, mirror: float = 1) -> skia.Path:
    """A path in SVG's words (M L Q C Z, absolute); `mirror` -1 flips x."""
    path = skia.Path()
    verbs = {"M": (path.moveTo, 2), "L": (path.lineTo, 2), "Q": (path.quadTo, 4), "C": (path.cubicTo, 6), "Z": (path.close, 0)}
    words = commands.split()
    at = 0
    while at < len(words):
        verb, count = verbs[words[at]]
        numbers = [float(w) for w in words[at + 1 : at + 1 + count]]
        verb(*(n * mirror if k % 2 == 0 else n for k, n in enumerate(numbers)))
        at += 1 + count
    return path


def star(x: float, y: float, radius: float) -> skia.Path:
    corners = []
    for k in range(10):
        r = radius if k % 2 == 0 else radius * 0.48
        angle = math.radians(-90 + 36 * k)
        corners.append((x + r * math.cos(angle), y + r * math.sin(angle)))
    return polygon(*corners)


def heart(x: float, y: float, r: float) -> skia.Path:
    return curve(f"M {x} {y + r} C {x - 1.75 * r} {y - .1 * r} {x - .95 * r} {y - 1.25 * r} {x} {y - .4 * r} "
                 f"C {x + .95 * r} {y - 1.25 * r} {x + 1.75 * r} {y - .1 * r} {x} {y + r} Z")


def moon(x: float, y: float, r: float) -> skia.Path:
    return curve(f"M {x + .35 * r} {y - r} C {x - 1.5 * r} {y - .95 * r} {x - 1.5 * r} {y + .95 * r} {x + .35 * r} {y + r} "
                 f"C {x - .3 * r} {y + .5 * r} {x - .3 * r} {y - .5 * r} {x + .35 * r} {y - r} Z")


class Pen:
    """A canvas with the few strokes that this world needs."""

    def __init__(self, canvas: skia.Canvas):
        self.canvas = canvas

    def fill(self, path: skia.Path, colour: Colour, alpha: int = 255) -> None:
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=argb(colour, alpha)))

    def stroke(self, path: skia.Path, colour: Colour, width: float = 3) -> None:
        self.canvas.drawPath(path, skia.Paint(
            AntiAlias=True, Color=argb(colour), Style=skia.Paint.kStroke_Style, StrokeWidth=width,
            StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join))

    def shape(self, path: skia.Path, colour: Colour, outline: Colour, width: float = 3) -> None:
        self.fill(path, colour)
        self.stroke(path, outline, width)

    def fade(self, path: skia.Path, top: Colour, bottom: Colour, y0: float, y1: float) -> None:
        shader = skia.GradientShader.MakeLinear([skia.Point(0, y0), skia.Point(0, y1)], [argb(top), argb(bottom)])
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Shader=shader))


def argb(colour: Colour, alpha: int = 255) -> int:
    r, g, b = (int(max(0, min(255, c))) for c in colour)
    return skia.Color(r, g, b, alpha)


# --- backgrounds ----------------------------------------------------------------------------------------------------

def paint_background(pen: Pen, scene: Scene, rng: random.Random, width: float, height: float) -> None:
    """Sky and ground fill the canvas; landmarks stand left and right of the middle, where the animal leaves room."""
    horizon = height * 0.66 + rng.uniform(-6, 6)
    left, right = 0.13 * width + rng.uniform(-4, 4), 0.87 * width + rng.uniform(-4, 4)
    everything = box(-2, -2, width + 4, height + 4)

    def sky(top: Colour, bottom: Colour) -> None:
        pen.fade(everything, shade(top, rng), shade(bottom, rng), 0, horizon)

    def ground(y: float, bulge: float, top: Colour, bottom: Colour) -> None:
        path = curve(f"M -5 {y + bulge} Q {width / 2} {y - bulge} {width + 5} {y + bulge} L {width + 5} {height + 5} L -5 {height + 5} Z")
        pen.fade(path, shade(top, rng), bottom, y, height)

    def cloud(x: float, y: float, size: float) -> None:
        for dx, dy, r in ((-17, 3, 11), (0, -3, 16), (17, 3, 11)):
            pen.fill(ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.85), WHITE)

    if scene.background == "meadow":
        sky((124, 204, 250), (218, 242, 255))
        pen.fill(ellipse(right, 40, 20, 20), (255, 226, 96))
        cloud(left + 12, 46, 1.1)
        ground(horizon - 16, 12, (160, 216, 118), (150, 206, 108))
        ground(horizon + 10, -6, (122, 196, 90), (98, 176, 72))
        for x, y, petals in ((0.1, 0.86, (255, 130, 170)), (0.2, 0.95, WHITE), (0.82, 0.93, (255, 216, 80)), (0.92, 0.84, WHITE)):
            for k in range(5):
                angle = k * math.tau / 5
                pen.fill(ellipse(x * width + 5.5 * math.cos(angle), y * height + 5.5 * math.sin(angle), 4.2, 4.2), petals)
            pen.fill(ellipse(x * width, y * height, 3.6, 3.6), (250, 180, 50))
    elif scene.background == "beach":
        sky((112, 206, 252), (222, 246, 255))
        pen.fill(ellipse(right, 40, 20, 20), (255, 222, 90))
        pen.fade(box(-2, horizon - 36, width + 4, 70), (40, 146, 214), (112, 210, 228), horizon - 36, horizon + 10)
        ground(horizon + 6, -5, (248, 224, 164), (234, 200, 134))
        top = horizon - 82
        pen.stroke(curve(f"M {left} {horizon + 22} Q {left + 2} {horizon - 30} {left + 8} {top}"), (156, 108, 66), 10)
        for dx, dy in ((-38, -4), (-32, 24), (-8, -26), (28, -16), (40, 12)):
            pen.fill(curve(f"M {left + 8} {top} Q {left + 8 + dx * .5} {top + dy - 20} {left + 8 + dx} {top + dy + 8} Q {left + 8 + dx * .5} {top + dy - 2} {left + 8} {top} Z"), (62, 164, 88))
    elif scene.background == "snow":
        sky((150, 192, 230), (228, 240, 252))
        for x, h in ((0.2, 74), (0.78, 86)):
            peak = (x * width, horizon - h)
            pen.fill(polygon((peak[0] - 74, horizon + 6), peak, (peak[0] + 74, horizon + 6)), (146, 168, 202))
            pen.fill(polygon((peak[0] - 26, peak[1] + 30), peak, (peak[0] + 26, peak[1] + 30), (peak[0], peak[1] + 22)), (250, 252, 255))
        ground(horizon, 6, (248, 251, 255), (212, 226, 244))
        for x in (left - 6, right + 6):
            for k in range(3):
                pen.fill(polygon((x - 24 + 5 * k, horizon + 18 - 20 * k), (x, horizon - 24 - 18 * k), (x + 24 - 5 * k, horizon + 18 - 20 * k)), (58, 124, 102))
    elif scene.background == "city":
        sky((255, 176, 128), (255, 230, 184))
        for x, w, h, colour in ((0.0, 0.2, 118, (204, 142, 150)), (0.38, 0.24, 132, (204, 142, 150)), (0.8, 0.2, 112, (204, 142, 150)),
                                (0.17, 0.22, 92, (122, 102, 150)), (0.62, 0.2, 84, (122, 102, 150)), (-0.06, 0.14, 66, (122, 102, 150)), (0.92, 0.14, 64, (122, 102, 150))):
            tone = shade(colour, rng)
            pen.fill(box(x * width, horizon + 10 - h, w * width, h + 10, 3), tone)
            if colour[0] < 150:
                for row in range(int(h // 26)):
                    for column in (0.18, 0.56):
                        pen.fill(box((x + column * w) * width, horizon + 20 - h + 26 * row, w * width * 0.26, 14, 2), (255, 226, 130))
        pen.fade(box(-2, horizon + 10, width + 4, height), (132, 132, 146), (102, 102, 116), horizon + 10, height)
        pen.fill(box(-2, horizon + 8, width + 4, 8), (206, 202, 202))
    elif scene.background == "space":
        pen.fade(everything, shade((26, 20, 70), rng), shade((80, 44, 122), rng), 0, height)
        for x, y in ((0.08, 0.4), (0.3, 0.08), (0.55, 0.12), (0.93, 0.52), (0.2, 0.24), (0.72, 0.3)):
            pen.fill(star(x * width, y * height, 6), (255, 248, 214))
        pen.fill(ellipse(right - 4, 48, 22, 22), (240, 156, 98))
        pen.stroke(ellipse(right - 4, 48, 34, 9, -18), (250, 214, 180), 4)
        ground(horizon + 26, 14, (184, 182, 204), (128, 124, 156))
        for x, y in ((0.12, 0.93), (0.88, 0.9)):
            pen.fill(ellipse(x * width, y * height, 15, 5), (140, 136, 166))
    elif scene.background == "living room":
        pen.fill(everything, shade((250, 228, 200), rng))
        wood = (150, 104, 72)
        pen.shape(box(left - 18, 30, 62, 68, 4), (172, 222, 250), wood, 6)
        pen.stroke(polygon((left + 13, 30), (left + 13, 98), closed=False), wood, 5)
        pen.stroke(polygon((left - 18, 64), (left + 44, 64), closed=False), wood, 5)
        pen.shape(box(right - 22, 42, 40, 48, 3), (150, 204, 164), wood, 5)
        pen.fade(box(-2, horizon + 8, width + 4, height), shade((204, 150, 102), rng), (178, 124, 82), horizon + 8, height)
        pen.fill(box(-2, horizon + 4, width + 4, 8), (250, 246, 240))
        pen.fill(ellipse(width / 2, height - 26, width * 0.44, 22), (214, 102, 100))
        pen.fill(ellipse(width / 2, height - 26, width * 0.36, 15), (238, 160, 146))
    elif scene.background == "forest":
        sky((158, 212, 178), (210, 236, 196))
        for x, r, colour in ((0.28, 34, (112, 176, 136)), (0.72, 34, (112, 176, 136)), (0.06, 40, (54, 126, 86)), (0.94, 40, (54, 126, 86))):
            tone = shade(colour, rng)
            pen.fill(box(x * width - 8, horizon - 96, 16, 124), mix((124, 88, 60), colour, 0.15))
            for dx, dy in ((-0.5, 0.45), (0.5, 0.45), (0, -0.25)):
                pen.fill(ellipse(x * width + dx * r, horizon - 112 + dy * r, r * 0.86, r * 0.86), tone)
        ground(horizon + 8, 6, (104, 152, 78), (78, 122, 60))
    elif scene.background == "desert":
        sky((255, 198, 120), (255, 240, 198))
        pen.fill(ellipse(right - 6, 46, 24, 24), (255, 248, 212))
        ground(horizon - 14, 14, (240, 184, 114), (232, 172, 104))
        ground(horizon + 12, -8, (230, 166, 96), (210, 142, 80))
        for x, flip in ((left - 6, 1), (right + 6, -1)):
            green = (84, 156, 94)
            pen.fill(box(x - 9, horizon - 50, 18, 72, 9), green)
            pen.stroke(polygon((x, horizon - 4), (x + 21 * flip, horizon - 8), (x + 21 * flip, horizon - 28), closed=False), green, 10)
    elif scene.background == "studio":
        wall = shade(rng.choice(BACKDROPS), rng)
        pen.fade(everything, lighter(wall, 0.25), wall, 0, horizon)
        pen.fade(box(-2, horizon + 8, width + 4, height), darker(wall, 0.06), darker(wall, 0.16), horizon + 8, height)
    else:
        raise ValueError(f"no background is called {scene.background!r}")


# --- the animal -----------------------------------------------------------------------------------------------------

BODY_Y = -46.0  # the body's middle above the ground, sitting
HEAD_UP = 64.0  # the head's middle above the body's
HAT_LINE = {"frog": 28, "fox": 32, "bird": 34}  # where hats sit, above the head's middle


def paint_animal(pen: Pen, scene: Scene, rng: random.Random) -> None:
    """The animal at the origin, its feet at y = 0."""
    canvas = pen.canvas
    animal = scene.animal
    coat = shade(COATS[scene.coat], rng)
    is_black = scene.coat == "black"
    line = darker(coat, 0.6) if not is_black else (28, 26, 34)
    belly = lighter(coat, 0.6) if not is_black else (150, 148, 160)
    cloth = shade(CLOTHS[scene.cloth], rng)
    hem = darker(cloth, 0.5)
    standing = scene.pose == "standing"
    body_y = BODY_Y - (14 if standing else 0)
    head_y = body_y - HEAD_UP
    sides = (-1, 1)

    if scene.accessory == "cape":
        pen.shape(curve(f"M -24 {body_y - 32} C -50 {body_y - 10} -70 {body_y + 14} -74 {body_y + 42} Q -38 {body_y + 34} 0 {body_y + 44} "
                        f"Q 38 {body_y + 34} 74 {body_y + 42} C 70 {body_y + 14} 50 {body_y - 10} 24 {body_y - 32} Z"), cloth, hem)
    paint_tail(pen, animal, coat, line, body_y)

    # legs
    if animal == "bird":
        for s in sides:
            pen.stroke(polygon((14 * s, body_y + 36), (14 * s, -5), closed=False), (240, 146, 48), 6)
            pen.stroke(polygon((14 * s - 8, -3), (14 * s + 8, -3), closed=False), (240, 146, 48), 6)
    elif standing:
        for s in sides:
            pen.shape(box(17 * s - 12, body_y + 16, 24, -body_y - 18, 11), coat, line)
            pen.shape(ellipse(19 * s, -7, 16, 9), lighter(coat, 0.18), line)
    else:
        for s in sides:
            pen.shape(ellipse(29 * s, -10, 18, 11, -8 * s), lighter(coat, 0.18), line)

    body = ellipse(0, body_y, 36, 43)
    pen.fade(body, coat, darker(coat, 0.1), body_y - 30, body_y + 42)
    paint_pattern(pen, scene, body, coat, body_y, on_head=False)
    pen.stroke(body, line)
    pen.fill(ellipse(0, body_y + 9, 26, 30), belly)
    paint_emblem(pen, scene, body_y + 9)

    # arms
    raised = {"waving": (1,), "cheering": (-1, 1)}.get(scene.pose, ())
    limb = darker(coat, 0.1) if animal == "bird" else coat
    for s in sides:
        if s in raised:
            pen.shape(ellipse(43 * s, body_y - 28, 11, 23, 46 * s), limb, line)
        else:
            pen.shape(ellipse(35 * s, body_y - 2, 10.5, 22, -14 * s), limb, line)

    paint_ears_behind(pen, animal, coat, line, head_y)
    head = {
        "cat": ellipse(0, head_y, 49, 38), "frog": ellipse(0, head_y + 4, 54, 35), "bird": ellipse(0, head_y + 2, 42, 39),
        "pig": ellipse(0, head_y, 48, 40), "rabbit": ellipse(0, head_y, 44, 39), "bear": ellipse(0, head_y, 49, 41),
        "dog": ellipse(0, head_y, 46, 40),
        "fox": curve(f"M -54 {head_y + 12} C -46 {head_y - 52} 46 {head_y - 52} 54 {head_y + 12} Q 28 {head_y + 37} 0 {head_y + 40} Q -28 {head_y + 37} -54 {head_y + 12} Z"),
    }[animal]
    pen.fade(head, lighter(coat, 0.08), coat, head_y - 38, head_y + 38)
    paint_pattern(pen, scene, head, coat, head_y, on_head=True)
    if animal == "fox":
        canvas.save()
        canvas.clipPath(head, doAntiAlias=True)
        pen.fill(curve(f"M -60 {head_y + 12} Q -22 {head_y - 2} 0 {head_y + 18} Q 22 {head_y - 2} 60 {head_y + 12} L 60 {head_y + 50} L -60 {head_y + 50} Z"), (255, 251, 244))
        canvas.restore()
    pen.stroke(head, line)
    if animal == "dog":
        ear = darker(coat, 0.34) if not is_black else (104, 100, 114)
        for s in sides:
            pen.shape(curve(f"M 26 {head_y - 36} C 60 {head_y - 46} 72 {head_y + 18} 54 {head_y + 24} C 40 {head_y + 22} 42 {head_y - 10} 26 {head_y - 36} Z", s), ear, line)
    paint_face(pen, animal, coat, line, head_y, is_black)
    paint_accessory(pen, scene, cloth, hem, head_y, rng)


def paint_tail(pen: Pen, animal: str, coat: Colour, line: Colour, y: float) -> None:
    if animal == "dog":
        tail = curve(f"M 26 {y + 28} Q 54 {y + 24} 58 {y - 6}")
        pen.stroke(tail, line, 17)
        pen.stroke(tail, coat, 11)
    elif animal == "cat":
        tail = curve(f"M 24 {y + 32} C 70 {y + 42} 46 {y - 10} 68 {y - 26}")
        pen.stroke(tail, line, 14)
        pen.stroke(tail, coat, 8.5)
    elif animal == "rabbit":
        pen.shape(ellipse(38, y + 28, 14, 14), lighter(coat, 0.6), line)
    elif animal == "bear":
        pen.shape(ellipse(36, y + 28, 10, 10), coat, line)
    elif animal == "pig":
        pen.stroke(curve(f"M 30 {y + 18} C 60 {y + 24} 42 {y - 10} 50 {y + 8} Q 54 {y + 16} 62 {y - 2}"), darker(coat, 0.3), 6)
    elif animal == "fox":
        pen.shape(curve(f"M 18 {y + 38} C 56 {y + 50} 96 {y + 12} 70 {y - 40} C 56 {y - 18} 46 {y + 4} 18 {y + 18} Z"), coat, line)
        pen.fill(curve(f"M 80 {y - 8} Q 80 {y - 24} 70 {y - 38} Q 60 {y - 24} 56 {y - 12} Q 68 {y - 1} 80 {y - 8} Z"), (255, 251, 244))
    elif animal == "bird":
        pen.shape(polygon((20, y + 18), (64, y + 6), (62, y + 26), (22, y + 38)), darker(coat, 0.16), line)


def paint_ears_behind(pen: Pen, animal: str, coat: Colour, line: Colour, y: float) -> None:
    inside = (252, 182, 196)
    for s in (-1, 1):
        if animal == "cat":
            pen.shape(polygon((46 * s, y - 8), (44 * s, y - 58), (12 * s, y - 32)), coat, line)
            pen.fill(polygon((40 * s, y - 18), (39 * s, y - 46), (21 * s, y - 30)), inside)
        elif animal == "fox":
            pen.shape(polygon((48 * s, y - 6), (52 * s, y - 66), (10 * s, y - 30)), coat, line)
            pen.fill(polygon((51 * s, y - 44), (51.5 * s, y - 65), (33 * s, y - 50)), darker(coat, 0.72))
        elif animal == "rabbit":
            pen.shape(ellipse(20 * s, y - 58, 13, 34, 9 * s), coat, line)
            pen.fill(ellipse(20 * s, y - 56, 6.5, 25, 9 * s), inside)
        elif animal == "bear":
            pen.shape(ellipse(37 * s, y - 31, 17, 17), coat, line)
            pen.fill(ellipse(37 * s, y - 30, 9, 9), lighter(coat, 0.5))
        elif animal == "pig":
            pen.shape(polygon((46 * s, y - 12), (52 * s, y - 44), (16 * s, y - 34)), darker(coat, 0.1), line)
        elif animal == "frog":
            pen.shape(ellipse(27 * s, y - 27, 19, 19), coat, line)
    if animal == "bird":
        for x in (-9, 0, 9):
            pen.shape(ellipse(x, y - 42, 6, 14, x * 3), darker(coat, 0.12), line, 2.5)


def paint_pattern(pen: Pen, scene: Scene, clip: skia.Path, coat: Colour, y: float, *, on_head: bool) -> None:
    if scene.pattern == "plain":
        return
    colour = darker(coat, 0.58) if scene.coat != "black" else (186, 184, 198)
    pen.canvas.save()
    pen.canvas.clipPath(clip, doAntiAlias=True)
    if scene.pattern == "spotted":
        spots = [(-33, -24, 12), (31, -27, 13), (0, -38, 11), (-45, 8, 11), (45, 4, 11)] if on_head else [(-32, -14, 11), (31, -20, 11), (-33, 16, 10), (34, 12, 10)]
        for dx, dy, r in spots:
            pen.fill(ellipse(dx, y + dy, r, r), colour)
    else:
        for dy in (-20, 0, 20):
            for s in (-1, 1):
                pen.fill(polygon((58 * s, y + dy - 9), (24 * s, y + dy), (58 * s, y + dy + 9)), colour)
        if on_head:
            for x in (-18, 0, 18):
                pen.fill(polygon((x - 8, y - 48), (x * 0.8, y - 17), (x + 8, y - 48)), colour)
    pen.canvas.restore()


def paint_emblem(pen: Pen, scene: Scene, y: float) -> None:
    if scene.emblem == "none":
        return
    colour = EMBLEM_COLOURS[scene.emblem]
    path = {"heart": heart(0, y, 17), "star": star(0, y + 1, 24), "moon": moon(2, y, 20)}[scene.emblem]
    pen.shape(path, colour, darker(colour, 0.45), 2.5)


def paint_face(pen: Pen, animal: str, coat: Colour, line: Colour, y: float, is_black: bool) -> None:
    eye_x, eye_y = (27, y - 28) if animal == "frog" else (19, y - 4)
    muzzle = lighter(coat, 0.7) if not is_black else (182, 178, 186)
    if animal in ("dog", "bear"):
        pen.fill(ellipse(0, y + 17, 23, 17), muzzle)
    elif animal in ("cat", "rabbit"):
        pen.fill(ellipse(-8, y + 16, 12, 10), muzzle)
        pen.fill(ellipse(8, y + 16, 12, 10), muzzle)
    elif animal == "pig":
        snout = mix(coat, (250, 140, 170), 0.45)
        pen.shape(ellipse(0, y + 14, 20, 14), snout, line)
        for s in (-1, 1):
            pen.fill(ellipse(7.5 * s, y + 14, 3.6, 5.2), darker(snout, 0.6))
    for s in (-1, 1):
        if animal == "frog" or is_black:
            pen.fill(ellipse(eye_x * s, eye_y, 13.5, 14.5), WHITE)
        pen.fill(ellipse(eye_x * s, eye_y, 9.4, 11.2), INK)
        pen.fill(ellipse(eye_x * s + 2.8, eye_y - 3.8, 4.2, 4.4), WHITE)
        pen.fill(ellipse(34 * s, y + 14, 8, 5.5), BLUSH, 130)
    nose_y = y + 9
    if animal == "dog":
        pen.fill(ellipse(0, nose_y + 1, 10, 7.5), INK)
        pen.fill(ellipse(0, nose_y + 17, 6.5, 7.5), (240, 112, 134))
    elif animal == "bear":
        pen.fill(ellipse(0, nose_y + 1, 11, 8), INK)
        pen.stroke(curve(f"M -8 {nose_y + 13} Q 0 {nose_y + 21} 8 {nose_y + 13}"), INK)
    elif animal == "cat":
        pen.fill(polygon((-6, nose_y), (6, nose_y), (0, nose_y + 7)), (240, 110, 140))
        pen.stroke(curve(f"M -9 {nose_y + 11} Q -4 {nose_y + 16} 0 {nose_y + 9} Q 4 {nose_y + 16} 9 {nose_y + 11}"), INK, 2.5)
        for s in (-1, 1):
            for dy in (0, 9):
                pen.stroke(polygon((30 * s, nose_y + dy), (62 * s, nose_y - 5 + 1.8 * dy), closed=False), line, 2.5)
    elif animal == "rabbit":
        pen.fill(polygon((-6, nose_y), (6, nose_y), (0, nose_y + 7)), (240, 110, 140))
        pen.shape(box(-6.5, nose_y + 11, 13, 13, 3), WHITE, line, 2.5)
    elif animal == "fox":
        pen.fill(ellipse(0, nose_y + 11, 8.5, 6.5), INK)
        pen.stroke(curve(f"M -8 {nose_y + 21} Q 0 {nose_y + 27} 8 {nose_y + 21}"), INK, 2.5)
    elif animal == "pig":
        pen.stroke(curve(f"M -9 {nose_y + 22} Q 0 {nose_y + 29} 9 {nose_y + 22}"), INK, 2.5)
    elif animal == "frog":
        pen.stroke(curve(f"M -32 {nose_y + 2} Q 0 {nose_y + 30} 32 {nose_y + 2}"), INK, 3.5)
    elif animal == "bird":
        pen.shape(curve(f"M -17 {nose_y + 3} Q 0 {nose_y - 11} 17 {nose_y + 3} Q 0 {nose_y + 28} -17 {nose_y + 3} Z"), (252, 172, 48), (170, 98, 24), 2.5)


def paint_accessory(pen: Pen, scene: Scene, cloth: Colour, hem: Colour, y: float, rng: random.Random) -> None:
    kind = scene.accessory
    top = y - HAT_LINE.get(scene.animal, 35)
    if kind == "top hat":
        pen.shape(box(-22, top - 40, 44, 44, 4), cloth, hem)
        pen.fill(box(-21, top - 10, 42, 9), lighter(cloth, 0.7))
        pen.shape(box(-36, top - 2, 72, 11, 5), cloth, hem)
    elif kind == "party hat":
        cone = polygon((-24, top + 6), (0, top - 50), (24, top + 6))
        pen.shape(cone, cloth, hem)
        pen.canvas.save()
        pen.canvas.clipPath(cone, doAntiAlias=True)
        for dy in (0, -22):
            pen.stroke(polygon((-34, top + dy), (34, top + dy - 14), closed=False), lighter(cloth, 0.75), 6)
        pen.canvas.restore()
        pen.stroke(cone, hem)
        pen.shape(ellipse(0, top - 50, 9, 9), (255, 244, 150), (190, 150, 40), 2.5)
    elif kind == "crown":
        pen.shape(polygon((-28, top + 6), (-34, top - 30), (-15, top - 13), (0, top - 36), (15, top - 13), (34, top - 30), (28, top + 6)), cloth, hem)
        pen.fill(ellipse(0, top - 5, 6, 6), lighter(cloth, 0.8))
    elif kind == "glasses":
        eye_x, eye_y = (27, y - 28) if scene.animal == "frog" else (19, y - 4)
        for s in (-1, 1):
            pen.stroke(ellipse(eye_x * s, eye_y, 16.5, 16), cloth, 6.5)
        pen.stroke(polygon((-eye_x + 16, eye_y), (eye_x - 16, eye_y), closed=False), cloth, 6)
    elif kind == "scarf":
        pen.shape(box(14, y + 36, 19, 36, 5), darker(cloth, 0.1), hem)
        pen.shape(box(-38, y + 29, 76, 19, 9), cloth, hem)
    elif kind == "bow tie":
        for s in (-1, 1):
            pen.shape(polygon((0, y + 41), (30 * s, y + 26), (30 * s, y + 56)), cloth, hem)
        pen.shape(ellipse(0, y + 41, 8, 9), lighter(cloth, 0.4), hem)
    elif kind == "cape":
        pen.shape(box(-36, y + 31, 72, 14, 7), cloth, hem)
        pen.shape(ellipse(0, y + 39, 8, 8), (255, 218, 90), (170, 126, 30), 2.5)


def render(scene: Scene, *, zoom: float = 1) -> np.ndarray:
    """The scene as uint8 [height, width, 3], `zoom` times its size."""
    rng = random.Random(f"jitter/{scene.jitter}")
    height, width = scene.size
    surface = skia.Surface(round(width * zoom), round(height * zoom))
    canvas = surface.getCanvas()
    canvas.scale(zoom, zoom)
    pen = Pen(canvas)

    canvas.save()
    if rng.random() < 0.5:
        canvas.translate(width, 0)
        canvas.scale(-1, 1)
    paint_background(pen, scene, rng, width, height)
    canvas.restore()

    size = min(height / 256, width / 200, 1.12) * rng.uniform(1.07, 1.15)
    x = width / 2 + rng.uniform(-12, 12)
    feet = height - 15 * size + rng.uniform(-4, 3)
    pen.fill(ellipse(x, feet - 1, 52 * size, 8 * size), (30, 24, 50), 70)
    canvas.translate(x, feet)
    canvas.scale(size if rng.random() < 0.5 else -size, size)
    canvas.rotate(rng.uniform(-2, 2))
    paint_animal(pen, scene, rng)
    return surface.makeImageSnapshot().toarray(colorType=skia.kRGB_888x_ColorType)[..., :3].copy()
