"""Trains clip-pico: a picture and its caption land close together.

    python tools/pico/clip.py [--minutes 8]

Contrastive as CLIP (Radford et al. 2021); a true caption, short or long, has to beat short and long ones that say something
false, for that is what captions are rated for; and the same linear layers must read the scene's attributes from either tower's
embedding, which aligns the towers in minutes; pairs alone take hours. models/clip-pico/ is laid out for @huggingface/transformers: model.onnx (both towers),
text_model.onnx and vision_model.onnx (one projection each).
"""

from __future__ import annotations

import argparse
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pictures
import world
from onnx_files import export
from run import REPOSITORY, Run, use_two_threads, warmup_then_decay
from small import ImageEncoder, TextDecoder
from small_text import BOS, EOS, LONGEST, PAD, make_small_tokenizer, save_tokenizer, to_ids

WIDTH, LAYERS, HEADS, PROJECTION = 128, 1, 4, 128
PICTURES = 16_000


class VisionTower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImageEncoder(WIDTH, LAYERS, HEADS)
        self.projection = nn.Linear(2 * WIDTH, PROJECTION)

    def forward(self, pixel_values: Tensor) -> Tensor:
        tokens = self.encoder(pixel_values)
        return self.projection(torch.cat([tokens.mean(1), tokens.amax(1)], -1))


class TextTower(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.decoder = TextDecoder(vocabulary, WIDTH, 2, LONGEST, HEADS, cross=False)
        self.projection = nn.Linear(WIDTH, PROJECTION)

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden, _ = self.decoder(input_ids)
        is_end = (input_ids == EOS)[..., None]
        return self.projection((hidden * is_end).sum(1))  # every caption has exactly one <eos>


class Clip(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vision, self.text = VisionTower(), TextTower(vocabulary)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, input_ids: Tensor, pixel_values: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """logits_per_image, logits_per_text and unit embeddings, as transformers' CLIPModel. The mask is not needed: the text tower is causal."""
        text = F.normalize(self.text(input_ids + 0 * attention_mask), dim=-1)
        image = F.normalize(self.vision(pixel_values), dim=-1)
        logits = image @ text.T * self.logit_scale.exp()
        return logits, logits.T, text, image


def held_out_accuracy(model: Clip, tokenizer, count: int = 100) -> float:
    """How often the right caption of `count` comes first for a held-out picture, mean of four draws."""
    model.eval()
    hits = []
    for draw in range(4):
        rng = random.Random(f"clip-test/{draw}")
        scenes, data = pictures.load("test", 400)
        part = slice(draw * count, (draw + 1) * count)
        with torch.no_grad():
            text = F.normalize(model.text(to_ids(tokenizer, [complete_caption(s, rng) for s in scenes[part]])), dim=-1)
            image = F.normalize(model.vision(pictures.to_model(data[part])), dim=-1)
        hits.append(((image @ text.T).argmax(1) == torch.arange(count)).float().mean().item())
    model.train()
    return float(np.mean(hits))


def complete_caption(scene: world.Scene, rng: random.Random) -> str:
    return rng.choice([world.plain_prompt(scene), world.long_caption(scene, rng)])


def false_twin(scene: world.Scene, rng: random.Random) -> world.Scene:
    """The scene with another animal, coat or place; never one of those that no part may see."""
    while True:
        what, names = rng.choices([("animal", world.ANIMALS), ("coat", list(world.COATS)), ("background", world.BACKGROUNDS)], [0.7, 0.2, 0.1])[0]
        twin = replace(scene, **{what: rng.choice([name for name in names if name != getattr(scene, what)])})
        if not world.held_out(twin):
            return twin


def rivals(scenes: list[world.Scene], rng: random.Random) -> list[str]:
    """Captions of every scene in the captioners' two styles, then of every scene's false twin: 4 B texts."""
    from captioner import words  # which imports this module

    twins = [false_twin(scene, rng) for scene in scenes]
    return [words(style, scene, rng).removeprefix("the image shows ") for some in (scenes, twins) for style in ("brief", "detailed") for scene in some]


def rivals_loss(image: Tensor, text: Tensor) -> Tensor:
    """`image` [B, D] and `text` [4 B, D] are unit vectors: true brief, true detailed, false brief, false detailed."""
    similarity = (image * text.unflatten(0, (4, -1))).sum(-1)  # [4, B]
    return sum(F.softplus((similarity[wrong] - similarity[right] + 0.05) * 20).mean() for right in (0, 1) for wrong in (2, 3)) / 2


def mentioned(scene: world.Scene, caption: str) -> list[int]:
    """Labels of what the caption says; what it leaves out is unknown."""
    words = caption.lower()
    result = []
    for (head, names), label in zip(pictures.HEADS.items(), pictures.labels(scene)):
        if head == "background":
            said = any(p.lower() in words or p.split(" ", 1)[1] in words for p in world.PLACES[scene.background])
        else:
            said = getattr(scene, head) in words
        result.append(label if said else pictures.UNKNOWN)
    return result


def train(minutes: float, batch_size: int, lr: float) -> None:
    run = Run("clip", minutes, save_every_s=120)
    torch.manual_seed(0)
    tokenizer = make_small_tokenizer()
    scenes, data = pictures.load("train", PICTURES)
    model = Clip(len(tokenizer)).train()
    readers = nn.ModuleDict({head: nn.Linear(PROJECTION, len(names)) for head, names in pictures.HEADS.items()})
    everything = nn.ModuleDict(dict(model=model, readers=readers))
    optimizer = torch.optim.AdamW(everything.parameters(), lr=lr, weight_decay=0.02, betas=(0.9, 0.98))
    if state := run.resume():
        everything.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
    rng = random.Random(f"clip/{run.step}")
    run.untimed()
    while run.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * max(0.01, warmup_then_decay(run, warmup_steps=100, hold=0.3))
        chosen = sorted(rng.sample(range(PICTURES), batch_size))
        captions = [complete_caption(scenes[k], rng) if rng.random() < 0.4 else world.caption(scenes[k], rng) for k in chosen]
        x = pictures.disturbed(pictures.to_model(data[chosen]), rng)
        with torch.autocast("cpu", torch.bfloat16):
            image, texts = model.vision(x), model.text(to_ids(tokenizer, captions + rivals([scenes[k] for k in chosen], rng)))
        image, (text, others) = image.float(), texts.float().split([batch_size, 4 * batch_size])
        logits = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T * model.logit_scale.exp().clamp(max=100)
        target = torch.arange(batch_size)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss = loss + rivals_loss(F.normalize(image, dim=-1), F.normalize(others, dim=-1))
        seen = torch.tensor([pictures.labels(scenes[k]) for k in chosen])
        said = torch.tensor([mentioned(scenes[k], c) for k, c in zip(chosen, captions)])
        for j, head in enumerate(pictures.HEADS):
            loss = loss + 0.3 * F.cross_entropy(readers[head](image), seen[:, j])
            if (said[:, j] != pictures.UNKNOWN).any():
                loss = loss + 0.3 * F.cross_entropy(readers[head](text), said[:, j])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(everything.parameters(), 1.0)
        optimizer.step()
        run.tick()
        if run.due():
            run.log(loss=loss.item(), top1_of_100=held_out_accuracy(model, tokenizer))
            run.save(weights=everything.state_dict(), optimizer=optimizer.state_dict())
    run.log(event="finished", top1_of_100=held_out_accuracy(model, tokenizer))
    run.save(weights=everything.state_dict(), optimizer=optimizer.state_dict())
    write(model)
    run.done_file().touch()


def write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


def preprocessor(kind: str) -> dict:
    """Shorter side to 128, middle square, [-1, 1]."""
    square = {"height": pictures.SIDE, "width": pictures.SIDE}
    return {
        "image_processor_type": kind, "feature_extractor_type": kind.replace("ImageProcessor", "FeatureExtractor"),
        "do_convert_rgb": True, "do_resize": True, "size": {"shortest_edge": pictures.SIDE} if kind.startswith("CLIP") else square,
        "resample": 2, "do_center_crop": kind.startswith("CLIP"), "crop_size": square, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def write(model: Clip) -> None:
    folder = REPOSITORY / "models" / "clip-pico"
    ids, pixels = torch.tensor([[BOS, 300, EOS, PAD], [BOS, 300, 301, EOS]]), torch.zeros(2, 3, pictures.SIDE, pictures.SIDE)
    text_axes, image_axes = {0: "text_batch_size", 1: "sequence_length"}, {0: "image_batch_size"}
    export(model, {"input_ids": ids, "pixel_values": pixels, "attention_mask": torch.ones_like(ids)},
           ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"],
           {"input_ids": text_axes, "attention_mask": text_axes, "pixel_values": image_axes,
            "logits_per_image": {0: "image_batch_size", 1: "text_batch_size"}, "logits_per_text": {0: "text_batch_size", 1: "image_batch_size"},
            "text_embeds": {0: "text_batch_size"}, "image_embeds": {0: "image_batch_size"}}, folder / "onnx" / "model.onnx")
    export(model.text, {"input_ids": ids}, ["text_embeds"], {"input_ids": text_axes, "text_embeds": {0: "text_batch_size"}}, folder / "onnx" / "text_model.onnx")
    export(model.vision, {"pixel_values": pixels}, ["image_embeds"], {"pixel_values": image_axes, "image_embeds": {0: "image_batch_size"}}, folder / "onnx" / "vision_model.onnx")
    vocabulary = model.text.decoder.embedding.num_embeddings
    write_json(folder / "config.json", {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": PROJECTION, "logit_scale_init_value": round(model.logit_scale.item(), 4),
        "text_config": {"model_type": "clip_text_model", "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": HEADS, "intermediate_size": 2 * WIDTH,
                        "max_position_embeddings": LONGEST, "vocab_size": vocabulary, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "projection_dim": PROJECTION},
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 2 * WIDTH,
                          "image_size": pictures.SIDE, "patch_size": 16, "projection_dim": PROJECTION}})
    write_json(folder / "preprocessor_config.json", preprocessor("CLIPImageProcessor"))
    save_tokenizer(folder)


def load_clip() -> Clip:
    model = Clip(len(make_small_tokenizer()))
    weights = torch.load(Run("clip", 1).checkpoint, weights_only=False)["weights"]
    model.load_state_dict({k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")})
    return model.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    options = parser.parse_args()
    use_two_threads()
    train(options.minutes, options.batch_size, options.lr)
