"""Trains the two captioners: a picture to words, in two styles that fail differently.

    python tools/pico/captioner.py brief [--minutes 5]
    python tools/pico/captioner.py detailed [--minutes 6]

brief      few words, the animal, its coat and the place; never speaks of emblems or colours of cloth
detailed   several sentences about everything; small, so that it gets some of it wrong
Both begin with clip-pico's eyes, so train that first. Both are laid out as vision-encoder-decoder models for @huggingface/transformers' image-to-text pipeline.
"""

from __future__ import annotations

import argparse
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pictures
import world
from clip import load_clip, preprocessor, write_json
from onnx_files import export
from run import REPOSITORY, Run, use_two_threads, warmup_then_decay
from small import ImageEncoder, TextDecoder
from small_text import BOS, EOS, LONGEST, PAD, make_small_tokenizer, save_tokenizer, to_ids

WIDTH, ENCODER_LAYERS, DECODER_LAYERS, HEADS = 128, 1, 2, 4
PICTURES = 16_000
STYLES = ("brief", "detailed")


def words(style: str, scene: world.Scene, rng: random.Random) -> str:
    """One caption in a captioner's style: its own habits, not the world's many phrasings."""
    if style == "brief":
        adjectives = [scene.coat] + ([scene.pattern] if scene.pattern != "plain" and rng.random() < 0.5 else [])
        extra = f" with {world.accessory_phrase(scene, coloured=False)}" if scene.accessory != "none" and rng.random() < 0.5 else ""
        return f"{world.with_article(' '.join(adjectives + [scene.animal]))}{extra} {world.PLACES[scene.background][0]}"
    pattern = "" if scene.pattern == "plain" else scene.pattern + " "
    parts = [f"the image shows {world.with_article(pattern + scene.coat + ' ' + scene.animal)} {scene.pose} {world.PLACES[scene.background][0]}."]
    if scene.accessory != "none":
        parts.append(f"it is wearing {world.accessory_phrase(scene)}.")
    if scene.emblem != "none":
        colour = {"heart": "red", "star": "yellow", "moon": "blue"}[scene.emblem]
        parts.append(f"there is {world.with_article(f'{colour} {scene.emblem}')} on its belly.")
    return " ".join(parts)


class Captioner(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.encoder = ImageEncoder(WIDTH, ENCODER_LAYERS, HEADS)
        self.decoder = TextDecoder(vocabulary, WIDTH, DECODER_LAYERS, LONGEST, HEADS)

    def loss(self, pixels: Tensor, ids: Tensor) -> Tensor:
        hidden, _ = self.decoder(ids[:, :-1], self.encoder(pixels))
        return F.cross_entropy(self.decoder.logits(hidden).flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)

    @torch.no_grad()
    def generate(self, pixels: Tensor) -> Tensor:
        """Greedy, with no cache: for measuring only."""
        context = self.encoder(pixels)
        ids = torch.full((len(pixels), 1), BOS)
        while ids.shape[1] < LONGEST and not (ids == EOS).any(1).all():
            hidden, _ = self.decoder(ids, context)
            ids = torch.cat([ids, self.decoder.logits(hidden[:, -1:]).argmax(-1)], 1)
        return ids


class DecoderStep(nn.Module):
    """The decoder as the pipeline calls it: tokens, the picture's tokens, and what it remembers."""

    def __init__(self, decoder: TextDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        hidden, present = self.decoder(input_ids, encoder_hidden_states, list(zip(past[::2], past[1::2])))
        return self.decoder.logits(hidden), *(t for kv in present for t in kv)


def held_out_accuracy(style: str, model: Captioner, tokenizer, count: int = 200) -> dict[str, object]:
    scenes, data = pictures.load("test", 400)
    model.eval()
    texts = []
    for at in range(0, count, 50):
        for row in model.generate(pictures.to_model(data[at : at + 50])):
            texts.append(tokenizer.decode(row.tolist()[: (row.tolist() + [EOS]).index(EOS)], skip_special_tokens=True).strip())
    model.train()
    right = lambda attribute: sum(getattr(s, attribute) in t for s, t in zip(scenes, texts)) / count
    emblem = sum(s.emblem in t or (s.emblem == "none" and not any(e in t for e in world.EMBLEMS)) for s, t in zip(scenes, texts)) / count
    return dict(animal=right("animal"), coat=right("coat"), place=sum(world.PLACES[s.background][0] in t for s, t in zip(scenes, texts)) / count, emblem=emblem, says=texts[:2])


def train(style: str, minutes: float, batch_size: int, lr: float) -> None:
    run = Run(f"caption-{style}", minutes, save_every_s=120)
    torch.manual_seed(STYLES.index(style))
    tokenizer = make_small_tokenizer()
    scenes, data = pictures.load("train", PICTURES)
    model = Captioner(len(tokenizer)).train()
    model.encoder.load_state_dict(load_clip().vision.encoder.state_dict())  # it knows what matters; the words are what is new
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.02, betas=(0.9, 0.98))
    if state := run.resume():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    rng = random.Random(f"caption-{style}/{run.step}")
    run.untimed()
    while run.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = lr * max(0.01, warmup_then_decay(run, warmup_steps=100, hold=0.3))
        chosen = sorted(rng.sample(range(PICTURES), batch_size))
        ids = to_ids(tokenizer, [words(style, scenes[k], rng) for k in chosen])
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(pictures.disturbed(pictures.to_model(data[chosen]), rng), ids)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        run.tick()
        if run.due():
            run.log(loss=loss.item(), **held_out_accuracy(style, model, tokenizer))
            run.save(model=model.state_dict(), optimizer=optimizer.state_dict())
    run.log(event="finished", **held_out_accuracy(style, model, tokenizer))
    run.save(model=model.state_dict(), optimizer=optimizer.state_dict())
    write(style, model)
    run.done_file().touch()


def write(style: str, model: Captioner) -> None:
    folder = REPOSITORY / "models" / f"caption-pico-{style}"
    pixels = torch.zeros(2, 3, pictures.SIDE, pictures.SIDE)
    export(model.encoder, {"pixel_values": pixels}, ["last_hidden_state"], {"pixel_values": {0: "batch_size"}, "last_hidden_state": {0: "batch_size"}}, folder / "onnx" / "encoder_model.onnx")
    past = {f"past_key_values.{k}.{kind}": torch.zeros(2, HEADS, 3, WIDTH // HEADS) for k in range(DECODER_LAYERS) for kind in ("key", "value")}
    present = [name.replace("past_key_values", "present") for name in past]
    axes = {"input_ids": {0: "batch_size", 1: "sequence_length"}, "encoder_hidden_states": {0: "batch_size", 1: "encoder_sequence_length"},
            "logits": {0: "batch_size", 1: "sequence_length"}}
    axes |= {name: {0: "batch_size", 2: "past_sequence_length"} for name in past} | {name: {0: "batch_size", 2: "total_sequence_length"} for name in present}
    inputs = {"input_ids": torch.tensor([[300], [301]]), "encoder_hidden_states": torch.zeros(2, 64, WIDTH), **past}
    export(DecoderStep(model.decoder), inputs, ["logits", *present], axes, folder / "onnx" / "decoder_model_merged.onnx")
    vocabulary = model.decoder.embedding.num_embeddings
    tokens = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "decoder_start_token_id": BOS}
    write_json(folder / "config.json", {
        "architectures": ["VisionEncoderDecoderModel"], "model_type": "vision-encoder-decoder", "is_encoder_decoder": True, **tokens,
        "encoder": {"model_type": "vit", "hidden_size": WIDTH, "num_hidden_layers": ENCODER_LAYERS, "num_attention_heads": HEADS, "image_size": pictures.SIDE, "patch_size": 16},
        "decoder": {"model_type": "gpt2", "n_embd": WIDTH, "n_head": HEADS, "n_layer": DECODER_LAYERS, "n_positions": LONGEST, "vocab_size": vocabulary,
                    "add_cross_attention": True, "is_decoder": True, **tokens}})
    write_json(folder / "generation_config.json", {**tokens, "max_length": LONGEST, "num_beams": 1})
    write_json(folder / "preprocessor_config.json", preprocessor("ViTImageProcessor"))
    save_tokenizer(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("style", choices=STYLES)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    options = parser.parse_args()
    use_two_threads()
    train(options.style, options.minutes, options.batch_size, options.lr)
