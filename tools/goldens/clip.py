#!/usr/bin/env python3
"""Writes test/unit/metrics/goldens: what Pillow makes of pictures, and a tiny random CLIP, as ONNX, with transformers' own
scores of pictures and captions by it.

    pip install torch transformers onnx pillow
    python tools/goldens/clip.py

The CLIP's tokenizer has what OpenAI's has: byte-level BPE with </w>, <|startoftext|> and <|endoftext|>, at most 77 tokens.
"""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

OUT = Path(__file__).resolve().parents[2] / "test/unit/metrics/goldens"
START, END = "<|startoftext|>", "<|endoftext|>"
CAPTIONS = [
    "a teal dog",
    "A photo of a Red Fox, sitting in the snow!",
    "",
    "ein grüner Hund läuft über die Brücke 🙂",
    "the quick brown fox jumps over the lazy dog " * 20,
]


def make_tokenizer() -> PreTrainedTokenizerFast:
    tok = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tok.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(r"\s+", " "), normalizers.Lowercase()])
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([c.lower() for c in CAPTIONS] * 4, trainers.BpeTrainer(
        vocab_size=640, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[START, END], end_of_word_suffix="</w>", show_progress=False))
    start, end = tok.token_to_id(START), tok.token_to_id(END)
    tok.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=[(START, start), (END, end)])
    return PreTrainedTokenizerFast(tokenizer_object=tok, bos_token=START, eos_token=END, pad_token=END, unk_token=END, model_max_length=77)


def make_clip(tokenizer) -> CLIPModel:
    torch.manual_seed(0)
    tower = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, projection_dim=24)
    text = dict(vocab_size=len(tokenizer), max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, **tower)
    config = CLIPConfig(text_config=text, vision_config=dict(image_size=32, patch_size=8, **tower), projection_dim=24, attn_implementation="eager")
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1:
                p.copy_(torch.randn_like(p) * (0.6 / p.shape[-1] ** 0.5 if p.ndim == 2 else 0.1))
    return model


class Vision(nn.Module):
    def __init__(self, clip):
        super().__init__()
        self.clip = clip

    def forward(self, pixel_values):
        return self.clip.visual_projection(self.clip.vision_model(pixel_values=pixel_values).pooler_output)


class Text(nn.Module):
    """The text tower without transformers' mask helpers, which cannot be traced: causal, pooled at the first <|endoftext|>."""

    def __init__(self, clip, end: int):
        super().__init__()
        self.clip, self.end = clip, end

    def forward(self, input_ids):
        text = self.clip.text_model
        length = input_ids.shape[1]
        hidden = text.embeddings(input_ids=input_ids)
        rows = torch.arange(length)
        mask = torch.where(rows[None, :] > rows[:, None], torch.tensor(-1e9), torch.tensor(0.0))[None, None]
        for layer in text.encoder.layers:
            out = layer(hidden, mask)
            hidden = out[0] if isinstance(out, tuple) else out
        hidden = text.final_layer_norm(hidden)
        at = (input_ids == self.end).int().argmax(-1)
        pooled = torch.gather(hidden, 1, at[:, None, None].expand(-1, 1, hidden.shape[-1]))[:, 0]
        return self.clip.text_projection(pooled)


def pictures() -> dict[str, Image.Image]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:61, 0:97]
    waves = np.stack([127 + 127 * np.sin(x * (1 + c) / 7 + y / (3 + c)) for c in range(3)], -1)
    noise = rng.integers(0, 256, (40, 29, 3))
    return {"waves": Image.fromarray(waves.astype(np.uint8)), "noise": Image.fromarray(noise.astype(np.uint8))}


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "clip" / "onnx").mkdir(parents=True)
    images = pictures()
    resized = []
    for name, image in images.items():
        image.save(OUT / f"{name}.png", optimize=True)
        for filter_name in ("bilinear", "bicubic", "lanczos"):
            for size in [(13, 17), (31, 61)]:
                pixels = np.asarray(image.resize(size, Image.Resampling[filter_name.upper()]))
                resized.append(dict(picture=name, filter=filter_name, width=size[0], height=size[1], bytes=base64.b64encode(pixels.tobytes()).decode()))
    (OUT / "pillow.json").write_text(json.dumps(resized) + "\n")

    tokenizer = make_tokenizer()
    model = make_clip(tokenizer)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    folder = OUT / "clip"
    tokenizer.save_pretrained(folder)
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    text = Text(model, tokenizer.eos_token_id)
    ids = tokenizer(CAPTIONS, padding=True, truncation=True, return_tensors="pt")
    vision_inputs = processor(list(images.values()), return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(text(ids["input_ids"]), model.get_text_features(**ids).pooler_output, atol=1e-5)
        out = model(**ids, **vision_inputs)
        scores = 100 * torch.nn.functional.normalize(out.image_embeds, dim=-1) @ torch.nn.functional.normalize(out.text_embeds, dim=-1).T
    args = dict(opset_version=17, dynamo=False)
    torch.onnx.export(text, (ids["input_ids"],), folder / "onnx" / "text_model.onnx", input_names=["input_ids"], output_names=["text_embeds"],
                      dynamic_axes={"input_ids": {0: "b", 1: "t"}, "text_embeds": {0: "b"}}, **args)
    torch.onnx.export(Vision(model), (vision_inputs["pixel_values"],), folder / "onnx" / "vision_model.onnx", input_names=["pixel_values"],
                      output_names=["image_embeds"], dynamic_axes={"pixel_values": {0: "b"}, "image_embeds": {0: "b"}}, **args)
    case = dict(pictures=list(images), captions=CAPTIONS, scores=scores.tolist(), lengths=ids["attention_mask"].sum(-1).tolist())
    (OUT / "clip-scores.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
